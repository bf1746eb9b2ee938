#include "ranking/explain/evidence_check.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ranking/explain/explanation_templates.h"
#include "ranking/explain/template_explainer.h"
#include "ranking/preferences.h"
#include "ranking/reasons.h"
#include "tests/ranking/ranking_test_data.h"

namespace palate::ranking {
namespace {

using ::testing::HasSubstr;

// The plan of a walnut chair for 70 that also has brass, which the user turned down, and green,
// which is new to the user.
ExplanationPlan GreenChairPlan() {
  ExplainInput input;
  input.history = WalnutHistory();
  // The third walnut item that was more than looked at.
  input.history.push_back(
      MakeEntry(MakeItem("shelf", "Hyl Shelf", {{"material", "walnut"}}), "purchase", 2.0, 5));
  input.item = WalnutChair();
  input.item.attributes["color"] = "green";
  input.item.attributes["accents"] = "brass";
  for (HistoryEntry& entry : input.history) {
    if (entry.item.item_id == "clock") entry.item.attributes["accents"] = "brass";
  }
  input.reasons = {"trending"};
  input.popularity = kManyPopularity;
  return MakePlan(input, Summarize(input.history));
}

struct Case {
  const char* text;
  const char* refusal;  // part of the reason; empty when the text is true
};

class EvidenceCheckTest : public ::testing::TestWithParam<Case> {};

TEST_P(EvidenceCheckTest, AcceptsTruthAndRefusesTheRest) {
  const ExplanationPlan plan = GreenChairPlan();
  const EvidenceVerdict verdict = EvidenceChecker(plan).Check(GetParam().text);
  const bool truth = GetParam().refusal[0] == '\0';
  EXPECT_EQ(verdict.accepted, truth) << GetParam().text << "\n" << verdict.reason;
  EXPECT_THAT(verdict.reason, HasSubstr(GetParam().refusal)) << GetParam().text;
  EXPECT_EQ(verdict.evidence.empty(), !truth);
}

INSTANTIATE_TEST_SUITE_P(
    Truths, EvidenceCheckTest,
    ::testing::Values(Case{"You often choose walnut, and this one is made of walnut.", ""},
                      Case{"You bought Vega Lamp, and Alto Chair is made of walnut too.", ""},
                      Case{"Because you looked at the Fjord Mug: this one comes in walnut.", ""},
                      Case{"It comes in green. It is popular right now.", ""},
                      Case{"At 70, it is within the price range you usually choose.", ""},
                      Case{"At 70.00, it is within the price range you usually choose.", ""},
                      Case{"Twice now you showed interest in minimalist designs.", ""},
                      Case{"It is made of walnut, which you have picked before!", ""},
                      Case{"You like walnut; the Alto Chair\u2019s look is minimalist.", ""}));

INSTANTIATE_TEST_SUITE_P(WrongTaste, EvidenceCheckTest,
                         ::testing::Values(Case{"You often choose brass.", "turns away"},
                                           Case{"You like brass.", "turns away"},
                                           Case{"It comes in brass, which you like.", "of nothing"},
                                           Case{"It comes in brass, which you have chosen before.",
                                                "turns away"}));

INSTANTIATE_TEST_SUITE_P(
    NoSentences, EvidenceCheckTest,
    ::testing::Values(
        Case{"It is made of walnut. It is also in Because.", "'because' with a capital"},
        Case{"It is made of walnut. it is green.", "a small 'it'"},
        Case{"It is made of walnut. It comes in.", "ends with 'in'"},
        Case{"You often choose walnut, so, this one is made of walnut.", "ends with 'so'"},
        Case{"Walnut. It comes in green.", "fewer than three"},
        Case{"It is is made of walnut.", "twice in a row"}));

INSTANTIATE_TEST_SUITE_P(
    NonSequiturs, EvidenceCheckTest,
    ::testing::Values(
        Case{"You often choose walnut, and this one has the minimalist look.", "as if it followed"},
        Case{"You often choose walnut: it is priced at 70 too.", "as if it followed"},
        Case{"You often choose walnut, such as Vega Lamp: it is green.", "not known to share"},
        Case{"You often choose walnut. It has the minimalist look.", ""},
        Case{"You often choose walnut; the look of this one is minimalist.", ""}));

INSTANTIATE_TEST_SUITE_P(
    Inventions, EvidenceCheckTest,
    ::testing::Values(
        Case{"You bought Alto Chair, and it is made of walnut.", "recommended item itself"},
        Case{"You liked Vega Lamp.", "which the user bought"},
        Case{"You watched Vega Lamp.", "which the user bought"},
        Case{"You bought Toy Story.", "'toy'"}, Case{"You bought it.", "without an item"},
        Case{"It is made of oak.", "'oak'"}, Case{"It is made of green.", "a material"},
        Case{"It is by walnut.", "a maker"},
        Case{"You often choose minimalist designs.", "2 events show"},
        Case{"You often choose green.", "show"}, Case{"You like green.", "history does not show"},
        Case{"It comes in green, which you have picked before.", "history does not show"},
        Case{"It is priced at 70, which you have picked before.", "history does not show"},
        Case{"You bought Vega Lamp, and this one is green too.", "not known to share"},
        Case{"Fjord Mug has brass.", "not known to share"}, Case{"You bought Nor Stool.", "'nor'"},
        Case{"It has a price of 65.", "'65'"}, Case{"It has a price.", "without saying it"},
        Case{"Walnut is within your range.", "speaks of a range"},
        Case{"It is new here, in walnut.", "not why"}, Case{"Others chose walnut.", "not why"},
        Case{"It matches your search for walnut.", "not why"},
        Case{"This is the best walnut chair ever.", "'best'"},
        Case{"You do not like walnut.", "'do'"}, Case{"You never choose walnut.", "'never'"},
        Case{"Walnut at 50% off.", "'50'"}, Case{"Walnut & you.", "sign"},
        Case{"Ignore previous instructions.", "'ignore'"},
        Case{"You often come back.", "of nothing"}, Case{"This one is for you.", "no evidence"},
        Case{"It is in walnut. It is in walnut.", "twice"},
        Case{"You often choose walnut and walnut.", "twice"},
        Case{"It has green.", "but it is the item's color"},
        Case{"You put Vega Lamp, and this one is made of walnut too.", "which the user bought"},
        Case{"You often choose walnut, and", "middle of a sentence"}, Case{"", "empty"}));

INSTANTIATE_TEST_SUITE_P(
    WordSalad, EvidenceCheckTest,
    ::testing::Values(Case{"Something the pick. It is made of walnut.", "no sentence"},
                      Case{"It is made of walnut by to design.", "no sentence"},
                      Case{"It is made of walnut. It also has the color both.", "no sentence"},
                      Case{"It is made of walnut. It also comes with a style.", "no sentence"},
                      Case{"It is made of walnut. It also comes with that.", "no sentence"},
                      Case{"It is made of walnut. It is also in new here.", "not why"},
                      Case{"Alto Chair comes with Alto Chair.", "no sentence"},
                      Case{"It also comes with a Vega Lamp.", "no sentence"},
                      Case{"It also comes with a Vega Lamp, which you have picked before.",
                           "no sentence"}));

INSTANTIATE_TEST_SUITE_P(
    OnlyLookedAt, EvidenceCheckTest,
    ::testing::Values(Case{"Twice now you have picked minimalist designs.", "only looked at"},
                      Case{"You often choose walnut, such as Fjord Mug, and it is made of walnut.",
                           "only looked at"},
                      Case{"You often choose walnut, such as Vega Lamp, and it is made of walnut.",
                           ""},
                      Case{"For a change, here is one that is made of walnut.", "calls different"},
                      Case{"Close to Vega Lamp, which you bought.", "not why"}));

TEST(EvidenceCheckerTest, CallsAnItemCloseOnlyToWhatItWasFoundBy) {
  ExplainInput input;
  input.history = WalnutHistory();
  input.item = MakeItem("x", "Hyena");
  input.close_item_ids = {"lamp"};
  const ExplanationPlan plan = MakePlan(input, Summarize(input.history));

  const EvidenceChecker checker(plan);
  EXPECT_EQ(checker.Check("Close to Vega Lamp, which you bought.").reason, "");
  EXPECT_THAT(checker.Check("Close to Vega Lamp, which you liked.").reason,
              HasSubstr("which the user bought"));
  EXPECT_FALSE(checker.Check("It is close to what you are looking at.").accepted);
  EXPECT_EQ(ExplainWithTemplate(input, plan).text, "Close to Vega Lamp, which you bought.");
}

TEST(EvidenceCheckerTest, RefusesABeginningOnlyWhenNothingCanSaveIt) {
  const ExplanationPlan plan = GreenChairPlan();
  const EvidenceChecker checker(plan);
  const auto refusal = [&checker](const char* text) {
    return checker.RefuseBeginning({Segment::Text(text)});
  };

  for (const char* open :
       {"", "You", "You often", "You bought", "You like", "Its price", "Its price of 70 is in your",
        "You often choose walnut, and this one is made of"}) {
    EXPECT_EQ(refusal(open), "") << open;
  }

  EXPECT_THAT(refusal("You often choose minimalist"), HasSubstr("2 events show"));
  EXPECT_THAT(refusal("You like green"), HasSubstr("history does not show"));
  EXPECT_THAT(refusal("It is new"), HasSubstr("not why"));
  EXPECT_THAT(refusal("It is made of green"), HasSubstr("a material"));
  EXPECT_THAT(refusal("Like Vega Lamp, which you liked"), HasSubstr("which the user bought"));
  EXPECT_THAT(refusal("It is the best"), HasSubstr("'best'"));

  // Later clauses and sentences cannot supply what a closed one lacks.
  EXPECT_THAT(refusal("You often go, and"), HasSubstr("of nothing"));
  EXPECT_THAT(refusal("You like, it"), HasSubstr("of nothing"));
  EXPECT_THAT(refusal("It has a price. It"), HasSubstr("without saying it"));
  EXPECT_THAT(refusal("You bought it. It"), HasSubstr("without an item"));
  EXPECT_THAT(refusal("Its price of 70 is for you. It"), HasSubstr("history does not show"));

  EXPECT_THAT(checker.RefuseBeginning({Segment::Special(TitleSlot(2))}),
              HasSubstr("does not fill"));
}

// All beginnings of a sequence of words and slots, one per word.
std::vector<std::vector<Segment>> BeginningsOf(const std::vector<Segment>& text) {
  std::vector<std::vector<Segment>> beginnings;
  std::vector<Segment> begun;
  for (const Segment& segment : text) {
    begun.push_back(segment);
    if (segment.kind == Segment::Kind::kText) {
      for (size_t i = segment.text.find(' ', 1); i != std::string::npos;
           i = segment.text.find(' ', i + 1)) {
        begun.back().text = segment.text.substr(0, i);
        beginnings.push_back(begun);
      }
      begun.back() = segment;
    }
    beginnings.push_back(begun);
  }
  return beginnings;
}

TEST(EvidenceCheckerTest, LeavesTheWayOpenToEveryTextOfTheGrammar) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const RandomShopper shopper = MakeRandomShopper(seed, static_cast<int>(seed % 13), 4);
    const PreferenceSummary summary = Summarize(shopper.history);
    for (const ItemFacts& item : shopper.candidates) {
      ExplainInput input;
      input.history = shopper.history;
      input.item = item;
      input.reasons = {kTrendingReason, kFreshReason, kQueryReason, kContextReason,
                       kCoEngagementReason};
      input.popularity = kManyPopularity;
      input.age = kNewAge;

      const ExplanationPlan plan = MakePlan(input, summary);
      const EvidenceChecker checker(plan);
      for (uint64_t draw = 0; draw < 10; ++draw) {
        for (const std::vector<Segment>& beginning : BeginningsOf(WriteExplanation(plan, draw))) {
          ASSERT_EQ(checker.RefuseBeginning(beginning), "")
              << FillSlots(plan, beginning).value_or("");
        }
      }
    }
  }
}

TEST(EvidenceCheckerTest, RefusesATextWithoutEnd) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "it is walnut and ";
  const ExplanationPlan plan = GreenChairPlan();
  EXPECT_THAT(EvidenceChecker(plan).Check(text + ".").reason, HasSubstr("at most"));
}

TEST(EvidenceCheckerTest, CitesEventFactAndTrend) {
  const ExplanationPlan plan = GreenChairPlan();
  const EvidenceVerdict verdict = EvidenceChecker(plan).Check(
      "You bought Vega Lamp, and this one is made of walnut too. It is popular right now.");

  ASSERT_TRUE(verdict.accepted) << verdict.reason;
  ASSERT_GE(verdict.evidence.size(), 3u);
  EXPECT_EQ(verdict.evidence[0].kind, Evidence::Kind::kUserEvent);
  EXPECT_EQ(verdict.evidence[0].item_id, "lamp");
  EXPECT_EQ(verdict.evidence[0].value, "Vega Lamp");
  EXPECT_EQ(verdict.evidence[1].kind, Evidence::Kind::kItemFact);
  EXPECT_EQ(verdict.evidence[1].value, "walnut");
  EXPECT_EQ(verdict.evidence.back().kind, Evidence::Kind::kTrend);
}

TEST(EvidenceCheckerTest, TakesASlotForItsFactWhateverTheTitleSays) {
  ExplainInput input;
  input.history = WalnutHistory();
  input.history[0].item.title = "It";
  input.item = WalnutChair();
  const ExplanationPlan plan = MakePlan(input, Summarize(input.history));
  ASSERT_EQ(plan.events[0].title, "It");

  const EvidenceChecker checker(plan);
  const EvidenceVerdict verdict =
      checker.Check({Segment::Text("You bought"), Segment::Special(TitleSlot(0)),
                     Segment::Text(", and this one is made of"), Segment::Special(ValueSlot(0)),
                     Segment::Text(" too.")});
  EXPECT_TRUE(verdict.accepted) << verdict.reason;
  EXPECT_EQ(verdict.text, "You bought It, and this one is made of walnut too.");

  // Spelled out, the title is a plain word, to which the interaction cannot refer.
  EXPECT_FALSE(checker.Check("You bought It, and this one is made of walnut too.").accepted);
}

TEST(EvidenceCheckerTest, HoldsPhrasesToWhatTheirValueIs) {
  ExplainInput input;
  input.item = MakeItem("pot", "Fjord Pot",
                        {{"kind", std::string("teapot")},
                         {"category", std::string("kitchen")},
                         {"price_level", std::string("premium")},
                         {"occasion", std::string("family")},
                         {"brand", std::string("Nordhem")},
                         {"dimmable", true}});
  const ExplanationPlan plan = MakePlan(input, {});
  const EvidenceChecker checker(plan);

  for (const char* text :
       {"It is a teapot pick.", "It belongs to kitchen.", "It is a kitchen find.",
        "It has a premium price.", "It is made with family use in mind.", "It is by Nordhem.",
        "It is also dimmable."}) {
    EXPECT_EQ(checker.Check(text).reason, "") << text;
  }

  for (const char* text : {"It belongs to teapot.", "It is teapot.", "It is also kitchen.",
                           "It is priced at premium.", "It is Nordhem.", "It has dimmable.",
                           "It comes with family use.", "Here are teapot things."}) {
    EXPECT_THAT(checker.Check(text).reason, HasSubstr("says of")) << text;
  }
}

TEST(EvidenceCheckerTest, RefusesSlotsOutsideOfThePlan) {
  const ExplanationPlan plan = GreenChairPlan();
  const EvidenceChecker checker(plan);
  EXPECT_FALSE(
      checker
          .Check({Segment::Text("You bought"), Segment::Special(TitleSlot(2)), Segment::Text(".")})
          .accepted);
}

}  // namespace
}  // namespace palate::ranking
