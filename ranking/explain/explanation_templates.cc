#include "ranking/explain/explanation_templates.h"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace palate::ranking {
namespace {

uint64_t Mix(uint64_t z) {  // SplitMix64's finalizer
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// Draws wordings; the same seed draws the same ones.
class Choice {
 public:
  explicit Choice(uint64_t seed) : state_(seed) {}
  size_t Index(size_t n) { return static_cast<size_t>(Mix(state_ += 0x9E3779B97F4A7C15ull) % n); }
  std::string Of(std::initializer_list<const char*> wordings) {
    return wordings.begin()[Index(wordings.size())];
  }

 private:
  uint64_t state_;
};

// Writes sentences in this notation: "{v0}" is the value slot of the first point, "{t0}" the title
// slot of the first event, "{n}" the item's name. Parse() converts it to segments. All its words
// are accepted by the evidence check (evidence_words.cc).
class Writer {
 public:
  Writer(const ExplanationPlan& plan, uint64_t seed) : plan_(plan), choice_(seed) {
    for (size_t i = 0; i < plan.points.size(); ++i) {
      switch (plan.points[i].kind) {
        case PlannedPoint::Kind::kLikedValue:
          liked_.push_back(i);
          break;
        case PlannedPoint::Kind::kInRange:
          ranges_.push_back(i);
          break;
        case PlannedPoint::Kind::kItemFact:
          facts_.push_back(i);
          break;
      }
    }
  }

  std::string Write() {
    std::vector<std::string> sentences = {liked_.empty() ? Opening() : LikedSentence()};

    // Usually adds a second sentence about facts that the first one does not mention.
    std::vector<std::string> more = Additions();
    if (!more.empty() && (sentences[0].empty() || choice_.Index(5) != 0))
      sentences.push_back(more[choice_.Index(more.size())]);
    if (sentences[0].empty()) sentences[0] = CloseSentence();
    if (sentences[0].empty()) sentences.erase(sentences.begin());
    if (sentences.empty())
      sentences.push_back(
          choice_.Of({"A pick from the catalog to try.", "Something else to try."}));

    std::string text = sentences[0];
    if (sentences.size() > 1) absl::StrAppend(&text, " ", sentences[1]);
    return text;
  }

 private:
  std::string Value(size_t point) const { return absl::StrCat("{v", point, "}"); }
  std::string Fill(const std::string& wording, size_t point) const {
    return absl::StrReplaceAll(wording, {{"#", Value(point)}});
  }

  // What the user likes as a noun phrase: "things in {v0}".
  std::string Noun(size_t point) {
    switch (plan_.points[point].role) {
      case PointRole::kMaterial:
        return Fill(choice_.Of({"#", "things made of #", "pieces in #"}), point);
      case PointRole::kStyle:
        return Fill(choice_.Of({"# designs", "the # look", "the # style"}), point);
      case PointRole::kColor:
        return Fill(choice_.Of({"things in #", "the color #", "#"}), point);
      case PointRole::kPattern:
        return Fill(choice_.Of({"# patterns", "the # pattern"}), point);
      case PointRole::kOccasion:
        return Fill(choice_.Of({"things with # in mind", "picks made for #"}), point);
      case PointRole::kKind:
      case PointRole::kCategory:
        return Fill(choice_.Of({"# picks", "# finds"}), point);
      case PointRole::kFeature:
        return Fill(choice_.Of({"# designs", "# things", "things that are #"}), point);
      case PointRole::kMaker:
        return Fill(choice_.Of({"things by #", "#"}), point);
      case PointRole::kPrice:
        return Fill(choice_.Of({"things priced at #", "picks priced at #"}), point);
      case PointRole::kOther:
        break;
    }

    return Fill(choice_.Of({"things with #", "picks with #"}), point);
  }

  // A predicate of the item: "is made of {v0}".
  std::string Predicate(size_t point) {
    switch (plan_.points[point].role) {
      case PointRole::kMaterial:
        return Fill(choice_.Of({"is made of #", "comes in #", "is in #"}), point);
      case PointRole::kStyle:
        return Fill(choice_.Of({"has the # look", "is # in style", "has a # design"}), point);
      case PointRole::kColor:
        return Fill(choice_.Of({"comes in #", "is in #", "has the color #"}), point);
      case PointRole::kPattern:
        return Fill(choice_.Of({"has a # pattern", "comes with a # pattern"}), point);
      case PointRole::kOccasion:
        return Fill(choice_.Of({"is made with # in mind", "is a pick for #"}), point);
      case PointRole::kKind:
        return Fill(choice_.Of({"is a # pick", "is a # find"}), point);
      case PointRole::kCategory:
        return Fill(choice_.Of({"is a # pick", "belongs to #", "is a # find"}), point);
      case PointRole::kFeature:
        return Fill(choice_.Of({"is #", "has a # design"}), point);
      case PointRole::kMaker:
        return Fill(choice_.Of({"is by #", "comes from #"}), point);
      case PointRole::kPrice:
        return Fill(choice_.Of({"is priced at #", "comes at #"}), point);
      case PointRole::kOther:
        break;
    }

    return Fill(choice_.Of({"comes with #", "has #"}), point);
  }

  // "is also made of {v0}", "also comes in {v0}".
  std::string AlsoPredicate(size_t point) {
    const std::string predicate = Predicate(point);
    return absl::StartsWith(predicate, "is ") ? absl::StrCat("is also ", predicate.substr(3))
                                              : absl::StrCat("also ", predicate);
  }

  // "{n}" if the title may be mentioned, else a pronoun that opens a clause.
  std::string Subject() {
    return plan_.name_sayable && choice_.Index(3) == 0 ? "{n}" : choice_.Of({"this one", "it"});
  }

  // "Close to {t0}, which you bought."; empty if the item was not found so.
  std::string CloseSentence() const {
    for (size_t i = 0; i < plan_.events.size(); ++i) {
      if (plan_.events[i].close)
        return absl::StrCat("Close to {t", i, "}, which you ",
                            InteractionPhrase(plan_.events[i].interaction), ".");
    }
    return "";
  }

  // Says no more than that the user was interested: of what was looked at.
  std::string Interest(size_t point) {
    const int events = plan_.points[point].num_events;
    const std::string interest =
        events >= kOftenEvents
            ? choice_.Of({"You keep coming back to", "You are often drawn to"})
            : (events == 2 ? "Twice now you showed interest in" : "You showed interest in");
    return absl::StrCat(interest, " ", Noun(point));
  }

  // "You often go for {noun}", with no more frequency than the events support.
  std::string Habit(size_t point) {
    const int events = plan_.points[point].num_choices;
    if (events == 0) return Interest(point);
    std::string habit;
    if (events >= kOftenEvents) {
      habit =
          choice_.Of({"You often go for", "You keep coming back to", "Again and again you choose",
                      "You often choose", "Time and again you pick", "You are often drawn to"});
    } else if (events == 2) {
      habit = choice_.Of({"Twice now you have picked", "You have chosen",
                          "More than once you went for", "You have already picked"});
    } else {
      habit = choice_.Of(
          {"You showed interest in", "You have picked", "You went for", "You have chosen"});
    }

    return absl::StrCat(habit, " ", Noun(point));
  }

  // A first sentence about a liked value, with a named event if there is one.
  std::string LikedSentence() {
    const size_t point = liked_[choice_.Index(std::min<size_t>(liked_.size(), 2))];
    said_.push_back(point);

    const std::vector<int>& events = plan_.points[point].events;
    if (events.empty() || choice_.Index(4) == 0) return HabitSentence(point);
    return EventSentence(point, static_cast<size_t>(events[choice_.Index(events.size())]));
  }

  std::string HabitSentence(size_t point) {
    const std::string habit = Habit(point);
    switch (choice_.Index(3)) {
      case 0:
        return absl::StrCat(habit, ", and ", Subject(), " ", Predicate(point), ".");
      case 1:
        return absl::StrCat(habit, ": ", Subject(), " ", Predicate(point), " too.");
      default:
        break;
    }

    const size_t second = SecondLiked(point);
    if (second == point)
      return absl::StrCat(habit, ", so here is one that ", Predicate(point), ".");
    said_.push_back(second);
    return absl::StrCat(habit, " and ", Noun(second), ": ", Subject(), " ",
                        choice_.Of({"has both", "brings both together"}), ".");
  }

  // A liked value other than `point` with at least as many events, so that the same frequency word
  // holds; `point` if there is none.
  size_t SecondLiked(size_t point) const {
    for (const size_t other : liked_) {
      if (other != point && plan_.points[other].num_events >= plan_.points[point].num_events &&
          plan_.points[other].num_choices >= plan_.points[point].num_choices)
        return other;
    }
    return point;
  }

  std::string EventSentence(size_t point, size_t event) {
    const std::string title = absl::StrCat("{t", event, "}");
    const Interaction interaction = plan_.events[event].interaction;
    const std::string did = absl::StrCat("you ", InteractionPhrase(interaction, title));
    // "You picked walnut, such as T" says that T was picked.
    const bool example = interaction != Interaction::kOpened;
    const std::string fact = absl::StrCat("Y", did.substr(1));
    const std::string predicate = Predicate(point);

    switch (choice_.Index(7)) {
      case 0:
        return absl::StrCat(fact, ", and ", Subject(), " ", predicate, " too.");
      case 1:
        return absl::StrCat("Because ", did, ": ", Subject(), " ", predicate, " as well.");
      case 2:
        return absl::StrCat("Like ", title, ", which you ", InteractionPhrase(interaction), ", ",
                            Subject(), " ", predicate, ".");
      case 3:
        return absl::StrCat(example ? Habit(point) : Interest(point), ", such as ", title, ", and ",
                            Subject(), " ", predicate, ".");
      case 4:
        return absl::StrCat(fact, ". ", plan_.name_sayable ? "{n}" : "This one", " ",
                            AlsoPredicate(point), ".");
      case 5:
        return absl::StrCat("Since ", did, ", here is another one that ", predicate, ".");
      default:
        return absl::StrCat("Just like ", title, ", ", Subject(), " ", predicate, ".");
    }
  }

  // A first sentence for an item without liked values.
  std::string Opening() {
    if (facts_.empty() || !ranges_.empty()) return "";

    said_.push_back(facts_[0]);
    const std::string predicate = Predicate(facts_[0]);
    const std::string name = plan_.name_sayable ? "{n}" : "This one";
    switch (choice_.Index(3)) {
      case 0:
        return absl::StrCat("Something different to try: ", Subject(), " ", predicate, ".");
      case 1:
        return absl::StrCat(name, " ", predicate, ".");
      default:
        return absl::StrCat("For a change, here is one that ", predicate, ".");
    }
  }

  std::string RangeSentence(size_t point) {
    if (plan_.points[point].role == PointRole::kPrice) {
      return Fill(choice_.Of({"At #, it is within the price range you usually choose.",
                              "Its price of # is in your usual range.",
                              "The price, #, is within your usual range."}),
                  point);
    }
    return Fill("With #, it is within the range you usually choose.", point);
  }

  // Candidates for the second sentence, about facts that the first one does not mention.
  std::vector<std::string> Additions() {
    std::vector<std::string> more;
    for (const auto* points : {&liked_, &facts_}) {
      for (const size_t point : *points) {
        if (std::find(said_.begin(), said_.end(), point) != said_.end()) continue;
        const bool liked = plan_.points[point].kind == PlannedPoint::Kind::kLikedValue;
        more.push_back(
            absl::StrCat("It ", AlsoPredicate(point),
                         liked && plan_.points[point].num_choices > 0 && choice_.Index(2) == 0
                             ? ", which you have picked before."
                             : "."));
      }
    }

    for (const size_t point : ranges_) more.push_back(RangeSentence(point));
    if (plan_.trending)
      more.push_back(choice_.Of({"It is popular right now.", "Right now it is trending.",
                                 "Many people choose it right now."}));
    if (plan_.fresh)
      more.push_back(
          choice_.Of({"It has just arrived.", "It is new here.", "It is a new arrival."}));
    if (plan_.searched)
      more.push_back(choice_.Of({"It matches your search.", "It fits what you searched for."}));
    if (plan_.similar)
      more.push_back(choice_.Of(
          {"It is close to what you are looking at.", "It is similar to what you have open."}));
    if (plan_.neighbors)
      more.push_back(choice_.Of(
          {"People with similar picks chose it too.", "Others with similar picks went for it."}));
    return more;
  }

  const ExplanationPlan& plan_;
  Choice choice_;
  std::vector<size_t> liked_, ranges_, facts_;
  std::vector<size_t> said_;
};

// Converts "You bought {t0}, and" to " You bought", <|title1|>, ", and": one space before every
// word; FillSlots adds those before slots.
std::vector<Segment> Parse(const std::string& notation) {
  std::vector<Segment> segments;
  const auto add_text = [&segments](absl::string_view text) {
    if (text.empty()) return;
    if (segments.empty() || segments.back().kind != Segment::Kind::kText)
      segments.push_back(Segment::Text(""));
    segments.back().text.append(text.data(), text.size());
  };

  for (absl::string_view word : absl::StrSplit(notation, ' ', absl::SkipEmpty())) {
    if (word.front() != '{') {
      add_text(absl::StrCat(" ", word));
      continue;
    }

    const size_t end = word.find('}');
    int index = 0;
    if (word[1] == 'n') {
      segments.push_back(Segment::Special(SpecialToken::kName));
    } else if (absl::SimpleAtoi(word.substr(2, end - 2), &index)) {
      segments.push_back(Segment::Special(word[1] == 'v' ? ValueSlot(index) : TitleSlot(index)));
    }
    add_text(word.substr(end + 1));
  }
  return segments;
}

// The value of a slot in the plan.
absl::StatusOr<std::string> SlotValue(const ExplanationPlan& plan, const Segment& slot) {
  if (slot.Is(SpecialToken::kName) && plan.name_sayable) return plan.item.title;
  for (size_t i = 0; i < plan.points.size(); ++i) {
    if (slot.Is(ValueSlot(static_cast<int>(i)))) return plan.points[i].said;
  }
  for (size_t i = 0; i < plan.events.size(); ++i) {
    if (slot.Is(TitleSlot(static_cast<int>(i)))) return plan.events[i].title;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the text uses ", slot.text, ", which the plan does not fill"));
}

void AppendSlot(std::string value, std::string& text) {
  const absl::string_view before = absl::StripTrailingAsciiWhitespace(text);
  const bool opens_sentence =
      before.empty() || before.back() == '.' || before.back() == '!' || before.back() == '?';
  if (opens_sentence && !value.empty())
    value[0] = absl::ascii_toupper(static_cast<unsigned char>(value[0]));

  const bool article = before == "A" || before == "a" || absl::EndsWith(before, " a");
  text.resize(before.size());
  if (article && StartsWithVowel(value)) text += 'n';
  absl::StrAppend(&text, text.empty() ? "" : " ", value);
}

}  // namespace

std::vector<Segment> WriteExplanation(const ExplanationPlan& plan, uint64_t seed) {
  return Parse(Writer(plan, seed).Write());
}

absl::StatusOr<std::string> FillSlots(const ExplanationPlan& plan,
                                      const std::vector<Segment>& text) {
  std::string filled;
  for (const Segment& segment : text) {
    if (segment.kind == Segment::Kind::kText) {
      filled += segment.text;
      continue;
    }
    absl::StatusOr<std::string> value = SlotValue(plan, segment);
    if (!value.ok()) return value.status();
    AppendSlot(*std::move(value), filled);
  }

  absl::StripAsciiWhitespace(&filled);
  if (!filled.empty()) filled[0] = absl::ascii_toupper(static_cast<unsigned char>(filled[0]));
  return filled;
}

uint64_t ExplanationSeed(const ExplainInput& input, int attempt) {
  uint64_t hash = 14695981039346656037ull;  // FNV-1a
  const auto add = [&hash](absl::string_view bytes) {
    for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    hash = Mix(hash);
  };

  add(input.item.item_id);
  if (!input.history.empty()) {
    add(input.history.front().item.item_id);
    hash ^= static_cast<uint64_t>(absl::ToUnixMicros(input.history.front().time));
  }
  return Mix(hash + static_cast<uint64_t>(attempt) * 0x9E3779B97F4A7C15ull);
}

}  // namespace palate::ranking
