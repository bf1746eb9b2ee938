#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ranking/explain/evidence_check.h"
#include "ranking/explain/explanation_templates.h"
#include "ranking/explain/template_explainer.h"
#include "ranking/reasons.h"
#include "tests/ranking/ranking_test_data.h"

namespace palate::ranking {
namespace {

ExplainInput ChairInput() {
  ExplainInput input;
  input.history = WalnutHistory();
  input.item = WalnutChair();
  input.reasons = {"content"};
  return input;
}

ExplanationPlan ChairPlan() { return MakePlan(ChairInput(), Summarize(WalnutHistory())); }

TEST(MakePlanTest, TakesTheStrongestMetPreferencesAndTheEventsThatShowThem) {
  const ExplanationPlan plan = ChairPlan();
  ASSERT_EQ(plan.points.size(), 3u);
  EXPECT_EQ(plan.points[0].value, "walnut");
  EXPECT_EQ(plan.points[0].num_events, 3);
  EXPECT_EQ(plan.points[1].value, "minimalist");
  EXPECT_EQ(plan.points[1].num_events, 2);
  EXPECT_EQ(plan.points[2].kind, PlannedPoint::Kind::kInRange);
  EXPECT_EQ(plan.points[2].value, "70");
  ASSERT_EQ(plan.events.size(), 2u);
  EXPECT_EQ(plan.events[0].title, "Vega Lamp");
  EXPECT_EQ(plan.events[0].interaction, Interaction::kBought);
}

TEST(MakePlanTest, NamesNoItemThatTheUserTurnedDown) {
  ExplainInput input = ChairInput();
  input.history.insert(input.history.begin(), MakeEntry(input.history[0].item, "dislike", -2.0, 0));
  const ExplanationPlan plan = MakePlan(input, Summarize(input.history));
  for (const PlannedEvent& event : plan.events) EXPECT_NE(event.item_id, "lamp");
}

TEST(MakePlanTest, ClaimsNothingAboutAUserWithoutHistory) {
  ExplainInput input = ChairInput();
  input.history.clear();
  const ExplanationPlan plan = MakePlan(input, {});
  EXPECT_TRUE(plan.events.empty());
  for (const PlannedPoint& point : plan.points)
    EXPECT_EQ(point.kind, PlannedPoint::Kind::kItemFact);
}

TEST(MakePlanTest, ReadsEverySourceByItsName) {
  const auto plan_of = [](const char* reason) {
    ExplainInput input = ChairInput();
    input.reasons = {reason};
    input.popularity = kManyPopularity;
    input.age = kNewAge;
    return MakePlan(input, {});
  };
  EXPECT_TRUE(plan_of(kTrendingReason).trending);
  EXPECT_TRUE(plan_of(kFreshReason).fresh);
  EXPECT_TRUE(plan_of(kQueryReason).searched);
  EXPECT_TRUE(plan_of(kContextReason).similar);
  EXPECT_TRUE(plan_of(kCoEngagementReason).neighbors);
  for (const char* silent : {kContentReason, kCallerReason, "horoscope"}) {
    const ExplanationPlan plan = plan_of(silent);
    EXPECT_FALSE(plan.trending || plan.fresh || plan.searched || plan.similar || plan.neighbors)
        << silent;
  }
}

TEST(MakePlanTest, CallsAnItemNewOrPopularOnlyWhereAgeAndCountsBearItOut) {
  ExplainInput input = ChairInput();
  input.reasons = {kTrendingReason, kFreshReason};
  EXPECT_FALSE(MakePlan(input, {}).trending);  // no figure, no claim
  EXPECT_FALSE(MakePlan(input, {}).fresh);

  input.popularity = 1;
  input.age = absl::Hours(24 * 365 * 84);
  EXPECT_FALSE(MakePlan(input, {}).trending);
  EXPECT_FALSE(MakePlan(input, {}).fresh);
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const std::string text =
        FillSlots(MakePlan(input, {}), WriteExplanation(MakePlan(input, {}), seed)).value();
    for (const char* claim : {"new", "arriv", "popular", "trending", "Many people"})
      EXPECT_FALSE(absl::StrContains(text, claim)) << text;
  }

  input.popularity = kManyPopularity;
  input.age = absl::Hours(24);
  EXPECT_TRUE(MakePlan(input, {}).trending);
  EXPECT_TRUE(MakePlan(input, {}).fresh);
}

TEST(MakePlanTest, HasNothingForAModelToSayOfATitleAlone) {
  ExplainInput input;
  input.history = WalnutHistory();
  input.item = MakeItem("x", "Hyena");
  input.reasons = {kContentReason};
  EXPECT_FALSE(HasSomethingToSay(MakePlan(input, Summarize(input.history))));
  EXPECT_TRUE(HasSomethingToSay(ChairPlan()));
}

TEST(WriteExplanationTest, SaysOfAnItemFromTheContextThatItIsCloseToIt) {
  ExplainInput input = ChairInput();
  input.reasons = {kContextReason};
  const ExplanationPlan plan = MakePlan(input, Summarize(input.history));
  bool said = false;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const std::string text = FillSlots(plan, WriteExplanation(plan, seed)).value();
    said = said || absl::StrContains(text, "looking at") || absl::StrContains(text, "have open");
  }
  EXPECT_TRUE(said);
}

TEST(WriteExplanationTest, IsTheSameForTheSameSeedAndVariesOverSeeds) {
  const ExplanationPlan plan = ChairPlan();
  std::set<std::string> texts;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    EXPECT_EQ(WriteExplanation(plan, seed), WriteExplanation(plan, seed));
    texts.insert(FillSlots(plan, WriteExplanation(plan, seed)).value());
  }
  EXPECT_GT(texts.size(), 80u);
}

TEST(WriteExplanationTest, PassesTheEvidenceCheckForAnyShopperAndSeed) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const RandomShopper shopper = MakeRandomShopper(seed, static_cast<int>(seed % 13), 6);
    const PreferenceSummary summary = Summarize(shopper.history);
    for (const ItemFacts& item : shopper.candidates) {
      ExplainInput input;
      input.history = shopper.history;
      input.item = item;
      const std::vector<std::string> sources = {kContentReason, kTrendingReason,
                                                kFreshReason,   kQueryReason,
                                                kContextReason, kCoEngagementReason};
      input.reasons = {sources[seed % sources.size()], sources[(seed / 6) % sources.size()]};
      input.popularity = kManyPopularity;
      input.age = kNewAge;

      const ExplanationPlan plan = MakePlan(input, summary);
      const EvidenceChecker checker(plan);
      for (uint64_t draw = 0; draw < 20; ++draw) {
        const EvidenceVerdict verdict = checker.Check(WriteExplanation(plan, draw));
        ASSERT_TRUE(verdict.accepted) << verdict.text << "\n" << verdict.reason;
        EXPECT_FALSE(verdict.text.empty());
        EXPECT_FALSE(absl::StrContains(verdict.text, "<|")) << verdict.text;
        EXPECT_FALSE(absl::StrContains(verdict.text, "  ")) << verdict.text;
      }
    }
  }
}

TEST(FillSlotsTest, FitsArticlesAndCapitals) {
  ExplanationPlan plan;
  PlannedPoint point;
  point.value = point.said = "elegant";
  plan.points = {point};
  const auto text =
      FillSlots(plan, {Segment::Special(ValueSlot(0)), Segment::Text(" it is, with a"),
                       Segment::Special(ValueSlot(0)), Segment::Text(" look.")});
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, "Elegant it is, with an elegant look.");
}

TEST(FillSlotsTest, RefusesSlotsThatThePlanDoesNotFill) {
  EXPECT_EQ(FillSlots(ExplanationPlan(), {Segment::Special(TitleSlot(0))}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FillSlots(ExplanationPlan(), {Segment::Special(SpecialToken::kYes)}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ExplainWithTemplateTest, CitesTheEventsAndFactsThatItNames) {
  const Explanation explanation = ExplainWithTemplate(ChairInput());
  EXPECT_EQ(explanation.source, ExplanationSource::kTemplate);
  EXPECT_TRUE(explanation.rejected_reason.empty());

  ASSERT_FALSE(explanation.evidence.empty());
  bool fact = false, event = false;
  for (const Evidence& evidence : explanation.evidence) {
    fact = fact || (evidence.kind == Evidence::Kind::kItemFact && evidence.item_id == "chair");
    event = event || evidence.kind == Evidence::Kind::kUserEvent;
  }
  EXPECT_TRUE(fact) << explanation.text;
  EXPECT_TRUE(event) << explanation.text;
}

TEST(ExplainWithTemplateTest, SaysSomethingOfAnItemWithoutAnyFacts) {
  ExplainInput input;
  input.item = MakeItem("x", "");
  EXPECT_FALSE(ExplainWithTemplate(input).text.empty());
}

TEST(RoleOfTest, TellsByTheNameAndTheValue) {
  EXPECT_EQ(RoleOf("main_color", "red"), PointRole::kColor);
  EXPECT_EQ(RoleOf("kind", "teapot"), PointRole::kKind);
  EXPECT_EQ(RoleOf("genres", "Comedy"), PointRole::kKind);
  EXPECT_EQ(RoleOf("category", "kitchen"), PointRole::kCategory);
  EXPECT_EQ(RoleOf("price", "49.90"), PointRole::kPrice);
  EXPECT_EQ(RoleOf("price_level", "premium"), PointRole::kOther);
  EXPECT_EQ(RoleOf("hand_made", "hand made"), PointRole::kFeature);  // a true bool
  EXPECT_EQ(RoleOf("country", "France"), PointRole::kOther);
  EXPECT_EQ(PointRoleWord(RoleOf("category", "kitchen")), PointRoleWord(RoleOf("kind", "teapot")));
}

TEST(MakePlanTest, SpellsValuesSoThatTheyFitTheirPhrases) {
  ExplainInput input;
  const auto said = [&input](const char* attribute, AttributeValue value) {
    input.item = MakeItem("x", "X", {{attribute, std::move(value)}});
    return MakePlan(input, {}).points.at(0).said;
  };

  EXPECT_EQ(said("price_level", std::string("premium")), "a premium price");
  EXPECT_EQ(said("price_level", std::string("entry")), "an entry price");
  EXPECT_EQ(said("occasion", std::string("travel")), "travel use");
  EXPECT_EQ(said("country", std::string("France")), "France as the country");
  EXPECT_EQ(said("hand_made", true), "hand made");
  EXPECT_EQ(said("material", std::string("Walnut")), "Walnut");
}

TEST(InteractionOfTest, ReadsCommonEventNames) {
  EXPECT_EQ(InteractionOf("purchase"), Interaction::kBought);
  EXPECT_EQ(InteractionOf("add_to_cart"), Interaction::kBasket);
  EXPECT_EQ(InteractionOf("page_view"), Interaction::kOpened);
  EXPECT_EQ(InteractionOf("rating"), Interaction::kRated);
  EXPECT_EQ(InteractionOf("frobnicate"), Interaction::kChose);
}

TEST(InteractionOfTest, ReadsWholeWordsOnly) {
  EXPECT_EQ(InteractionOf("preorder"), Interaction::kChose);
  EXPECT_EQ(InteractionOf("dislike"), Interaction::kChose);
  EXPECT_EQ(InteractionOf("spread"), Interaction::kChose);
  EXPECT_EQ(InteractionOf("order_canceled"), Interaction::kChose);
  EXPECT_EQ(InteractionOf("itemViewed"), Interaction::kOpened);
  EXPECT_EQ(InteractionOf("Orders"), Interaction::kBought);
}

TEST(RoleOfTest, ReadsWholeWordsOnly) {
  EXPECT_EQ(RoleOf("vintage", "2015"), PointRole::kOther);
  EXPECT_EQ(RoleOf("stage", "early"), PointRole::kOther);
  EXPECT_EQ(RoleOf("mankind", "all"), PointRole::kOther);
  EXPECT_EQ(RoleOf("Tags", "cozy"), PointRole::kKind);
  EXPECT_EQ(RoleOf("mainColor", "red"), PointRole::kColor);
  EXPECT_EQ(RoleOf("categories", "kitchen"), PointRole::kCategory);
  EXPECT_EQ(RoleOf("features", "foldable"), PointRole::kFeature);
  EXPECT_EQ(RoleOf("features", "USB-C port"), PointRole::kOther);
  EXPECT_EQ(SaidOf("features", "USB-C port"), "USB-C port");
  EXPECT_EQ(SaidOf("pages", "320"), "320 pages");
  EXPECT_EQ(SaidOf("languages", "French"), "French as the language");
  EXPECT_EQ(SaidOf("reading_series", "Winter"), "Winter as the reading series");
  EXPECT_EQ(SaidOf("has_wifi", "has wifi"), "wifi");
}

}  // namespace
}  // namespace palate::ranking
