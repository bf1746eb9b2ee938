#include "ranking/explain/explanation_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "ranking/reasons.h"
#include "ranking/special_tokens.h"

namespace palate::ranking {
namespace {

constexpr char kPriceWord[] = "price";

// By the usual endings of English nouns.
bool IsPlural(absl::string_view word) {
  return word.size() > 3 && absl::EndsWith(word, "s") && !absl::EndsWith(word, "ss") &&
         !absl::EndsWith(word, "us") && !absl::EndsWith(word, "is");
}

std::string Singular(std::string word) {
  if (!IsPlural(word) || word == "series" || word == "species") return word;
  if (absl::EndsWith(word, "ies") && word != "movies") {
    word.replace(word.size() - 3, 3, "y");
  } else {
    word.pop_back();
  }
  return word;
}

// The words of a name in lower case, singular: "main_colors" and "mainColor" have "color".
std::vector<std::string> WordsOfName(absl::string_view name) {
  std::vector<std::string> words(1);
  for (size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    const bool hump = absl::ascii_isupper(c) && i > 0 &&
                      absl::ascii_islower(static_cast<unsigned char>(name[i - 1]));
    if ((hump || !absl::ascii_isalpha(c)) && !words.back().empty()) words.emplace_back();
    if (absl::ascii_isalpha(c)) words.back() += static_cast<char>(absl::ascii_tolower(c));
  }

  for (std::string& word : words) word = Singular(std::move(word));
  return words;
}

bool Contains(const std::vector<std::string>& words, absl::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}
bool ContainsAny(const std::vector<std::string>& words, absl::Span<const absl::string_view> any) {
  return std::any_of(any.begin(), any.end(),
                     [&words](absl::string_view word) { return Contains(words, word); });
}

bool StartsWithHas(absl::string_view spelled) { return absl::StartsWith(spelled, "has "); }

// Whether "it is …" reads well before the value. Several words, a number or a capital ("USB-C
// port", "NFC") name a thing, which fits "comes with …", unless they end as adjectives do.
bool ReadsAsAdjective(absl::string_view value) {
  static constexpr absl::string_view kEndings[] = {
      "able", "ible", "ed",   "proof",     "less",     "free",    "ful",    "ous",
      "ive",  "made", "safe", "resistant", "portable", "compact", "organic"};
  const bool one_word = std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return absl::ascii_islower(c) || c == '-';
  });
  return one_word ||
         std::any_of(std::begin(kEndings), std::end(kEndings), [value](absl::string_view ending) {
           return absl::EndsWithIgnoreCase(value, ending);
         });
}

// The strongest engaged event per item of the history, except for the explained item.
class EngagedItems {
 public:
  explicit EngagedItems(const ExplainInput& input) {
    const double largest = MaxAbsoluteWeight(input.history);
    for (const HistoryEntry& entry : input.history) {
      const Engagement engagement = EngagementOf(entry.weight, largest);
      if (engagement == Engagement::kAverse) averse_.insert(entry.item.item_id);
      if (engagement != Engagement::kEngaged || entry.item.item_id == input.item.item_id) continue;
      const auto [found, added] = by_id_.emplace(entry.item.item_id, &entry);
      if (!added && entry.weight > found->second->weight) found->second = &entry;
    }

    // An item that the user also turned down supports nothing.
    for (const std::string& id : averse_) by_id_.erase(id);
  }

  const HistoryEntry* Find(const std::string& item_id) const {
    const auto found = by_id_.find(item_id);
    return found == by_id_.end() ? nullptr : found->second;
  }

  int CountWith(const AttributeWord& word, bool chosen_only) const {
    int count = 0;
    for (const auto& [id, entry] : by_id_) {
      const bool chosen = InteractionOf(entry->event_type) != Interaction::kOpened;
      count += (chosen || !chosen_only) && Has(entry->item, word) ? 1 : 0;
    }
    return count;
  }

  static bool Has(const ItemFacts& item, const AttributeWord& word) {
    const std::vector<AttributeWord> words = WordsOf(item.attributes);
    return std::find(words.begin(), words.end(), word) != words.end();
  }

 private:
  std::map<std::string, const HistoryEntry*> by_id_;
  std::set<std::string> averse_;
};

std::string NameOf(const std::string& attribute) {
  return absl::StrReplaceAll(attribute, {{"_", " "}});
}

// The value in a text: the spelling of the item, or the attribute name of a true bool.
std::string SpellingOf(const ItemFacts& item, const AttributeWord& word) {
  const AttributeValue& value = item.attributes.at(word.attribute);
  if (std::holds_alternative<bool>(value)) return NameOf(word.attribute);

  const auto matches = [&](const std::string& text) {
    const std::vector<AttributeWord> words = WordsOf({{word.attribute, text}});
    return !words.empty() && words.front().value == word.value;
  };

  std::string spelling = word.value;
  if (const auto* text = std::get_if<std::string>(&value)) spelling = *text;
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
    const auto found = std::find_if(list->begin(), list->end(), matches);
    if (found != list->end()) spelling = *found;
  }
  absl::RemoveExtraAsciiWhitespace(&spelling);
  return spelling;
}

PlannedPoint MakePoint(PlannedPoint::Kind kind, const std::string& attribute, std::string value,
                       int num_events) {
  const PointRole role = RoleOf(attribute, value);
  std::string said = SaidOf(attribute, value);
  return {kind, attribute, std::move(value), role, std::move(said), num_events, 0, {}, {}};
}

bool SayableTitle(const std::string& title, size_t max_bytes) {
  if (title.empty() || title.size() > max_bytes) return false;
  const auto control = [](unsigned char c) { return c < ' ' || c == 0x7f; };
  return std::none_of(title.begin(), title.end(), control);
}

// False bools are not mentioned: they are no reason to recommend an item.
bool Sayable(const ItemFacts& item, const AttributeWord& word) {
  return !(word.value == "no" && std::holds_alternative<bool>(item.attributes.at(word.attribute)));
}

// The phrases of the interactions for the object "#", in the order of the enum.
const char* InteractionPattern(Interaction interaction) {
  static constexpr const char* kPatterns[] = {
      "bought #",    "liked #",        "put # in your basket",
      "looked at #", "rated # highly", "watched #",
      "played #",    "read #",         "saved #",
      "chose #"};
  return kPatterns[static_cast<size_t>(interaction)];
}

// Adds the event to the plan. False if it may not be named, or its title is in the plan already.
bool AddEvent(const HistoryEntry* entry, const PlanOptions& options, ExplanationPlan& plan) {
  if (entry == nullptr || !SayableTitle(entry->item.title, options.max_title_bytes)) return false;
  if (static_cast<int>(plan.events.size()) >= std::min(options.max_events, kNumTitleSlots))
    return false;

  const auto same_title = [entry](const PlannedEvent& e) {
    return absl::EqualsIgnoreCase(e.title, entry->item.title);
  };
  if (std::any_of(plan.events.begin(), plan.events.end(), same_title)) return false;
  plan.events.push_back({entry->item.item_id, entry->item.title, InteractionOf(entry->event_type)});
  return true;
}

// Adds the item's liked values, strongest first, and returns them.
std::vector<AttributeWord> AddLikedPoints(const ItemFacts& item, const PreferenceSummary& summary,
                                          const EngagedItems& engaged, int limit,
                                          ExplanationPlan& plan) {
  std::vector<AttributeWord> words;
  for (const Preference& like : summary.likes) {
    if (static_cast<int>(plan.points.size()) >= limit) break;
    const AttributeWord word{like.attribute, like.value};
    if (!EngagedItems::Has(item, word) || !Sayable(item, word)) continue;
    const int num_events = engaged.CountWith(word, /*chosen_only=*/false);
    if (num_events == 0) continue;

    plan.points.push_back(MakePoint(PlannedPoint::Kind::kLikedValue, word.attribute,
                                    SpellingOf(item, word), num_events));
    plan.points.back().num_choices = engaged.CountWith(word, /*chosen_only=*/true);
    for (const std::string& id : like.evidence_item_ids) {
      if (engaged.Find(id) != nullptr) plan.points.back().evidence_item_ids.push_back(id);
    }
    words.push_back(word);
  }
  return words;
}

void AddRangePoint(const ItemFacts& item, const PreferenceSummary& summary, int limit,
                   ExplanationPlan& plan) {
  for (const PreferenceSummary::Range& range : summary.ranges) {
    const std::optional<double> number = NumberOf(item.attributes, range.attribute);
    if (static_cast<int>(plan.points.size()) >= limit || !number.has_value()) continue;
    if (*number < range.low || *number > range.high) continue;
    plan.points.push_back(
        MakePoint(PlannedPoint::Kind::kInRange, range.attribute, FormatNumber(*number), 0));
    return;  // one number is enough
  }
}

// Adds facts that claim nothing about the user until there are two points. Disliked values are
// omitted.
void AddFacts(const ItemFacts& item, const std::vector<AttributeWord>& used, int limit,
              ExplanationPlan& plan) {
  for (const AttributeWord& word : WordsOf(item.attributes)) {
    if (static_cast<int>(plan.points.size()) >= std::min(limit, 2)) return;
    const bool taken = std::find(used.begin(), used.end(), word) != used.end();
    const bool disliked =
        std::find(plan.disliked.begin(), plan.disliked.end(), word) != plan.disliked.end();
    if (taken || disliked || !Sayable(item, word)) continue;

    plan.points.push_back(
        MakePoint(PlannedPoint::Kind::kItemFact, word.attribute, SpellingOf(item, word), 0));
  }
}

void AddReasons(const ExplainInput& input, ExplanationPlan& plan) {
  const auto from = [&input](absl::string_view reason) {
    return std::find(input.reasons.begin(), input.reasons.end(), reason) != input.reasons.end();
  };
  // A source lists its best items, which may be neither many people's choice nor new.
  plan.trending = from(kTrendingReason) && input.popularity.value_or(0) >= kManyPopularity;
  plan.fresh = from(kFreshReason) && input.age.value_or(absl::InfiniteDuration()) <= kNewAge;
  plan.searched = from(kQueryReason);
  plan.similar = from(kContextReason);
  plan.neighbors = from(kCoEngagementReason);
}

// Marks the events to which the item is close. If no preference named an event, one of them is
// named.
void AddCloseEvents(const std::vector<std::string>& item_ids, const EngagedItems& engaged,
                    const PlanOptions& options, ExplanationPlan& plan) {
  for (const std::string& id : item_ids) {
    if (plan.events.empty()) AddEvent(engaged.Find(id), options, plan);
    for (PlannedEvent& event : plan.events) event.close = event.close || event.item_id == id;
  }
}

}  // namespace

Interaction InteractionOf(const std::string& event_type) {
  struct Entry {
    Interaction interaction;
    std::vector<absl::string_view> words;
  };
  // The first entry with a word of the name decides.
  static const auto* const kEntries = new std::vector<Entry>{
      {Interaction::kBought, {"purchase", "purchased", "buy", "bought", "order", "ordered"}},
      {Interaction::kBasket, {"cart", "basket", "addtocart"}},
      {Interaction::kSaved, {"wish", "wishlist", "save", "saved", "bookmark", "bookmarked"}},
      {Interaction::kLiked,
       {"favorite", "favourite", "favorited", "favourited", "fav", "like", "liked", "love",
        "loved"}},
      {Interaction::kRated, {"rating", "rate", "rated", "review", "reviewed"}},
      {Interaction::kWatched, {"watch", "watched"}},
      {Interaction::kPlayed, {"listen", "listened", "play", "played"}},
      {Interaction::kRead, {"read"}},
      {Interaction::kOpened,
       {"click", "clicked", "open", "opened", "view", "viewed", "visit", "visited", "pageview"}}};
  static constexpr absl::string_view kNegations[] = {
      "not",     "no",       "un",      "dislike",  "disliked", "remove",
      "removed", "delete",   "deleted", "cancel",   "canceled", "cancelled",
      "return",  "returned", "refund",  "refunded", "hide"};

  const std::vector<std::string> words = WordsOfName(event_type);
  if (ContainsAny(words, kNegations)) return Interaction::kChose;
  for (const Entry& entry : *kEntries) {
    if (ContainsAny(words, entry.words)) return entry.interaction;
  }
  return Interaction::kChose;
}

bool HasSomethingToSay(const ExplanationPlan& plan) { return !plan.points.empty(); }

bool StartsWithVowel(absl::string_view text) {
  return !text.empty() && absl::StrContains("aeiouAEIOU", text.substr(0, 1));
}

PointRole RoleOf(const std::string& attribute, const std::string& value) {
  struct Entry {
    absl::string_view word;
    PointRole role;
  };
  static constexpr Entry kEntries[] = {
      {"material", PointRole::kMaterial},   {"fabric", PointRole::kMaterial},
      {"style", PointRole::kStyle},         {"mood", PointRole::kStyle},
      {"color", PointRole::kColor},         {"colour", PointRole::kColor},
      {"pattern", PointRole::kPattern},     {"occasion", PointRole::kOccasion},
      {"season", PointRole::kOccasion},     {"kind", PointRole::kKind},
      {"genre", PointRole::kKind},          {"tag", PointRole::kKind},
      {"category", PointRole::kCategory},   {"topic", PointRole::kCategory},
      {"department", PointRole::kCategory}, {"feature", PointRole::kFeature},
      {"brand", PointRole::kMaker},         {"author", PointRole::kMaker},
      {"artist", PointRole::kMaker},        {"director", PointRole::kMaker},
      {"manufacturer", PointRole::kMaker},  {"maker", PointRole::kMaker}};

  const std::vector<std::string> words = WordsOfName(attribute);
  // A true bool is spelled as its name; "has_wifi" names a thing, not a quality.
  if (value == NameOf(attribute))
    return StartsWithHas(value) ? PointRole::kOther : PointRole::kFeature;
  double number = 0;
  const bool is_number = absl::SimpleAtod(value, &number);
  if (Contains(words, kPriceWord)) return is_number ? PointRole::kPrice : PointRole::kOther;
  if (is_number) return PointRole::kOther;

  for (const Entry& entry : kEntries) {
    if (!Contains(words, entry.word)) continue;
    const bool thing = entry.role == PointRole::kFeature && !ReadsAsAdjective(value);
    return thing ? PointRole::kOther : entry.role;
  }
  return PointRole::kOther;
}

const std::string& PointRoleWord(PointRole role) {
  // In the order of the enum.
  static const auto& words = *new std::array<std::string, 11>{
      "material", "style",   "color", "pattern", "occasion", "kind",
      "kind",     "feature", "maker", "price",   "other"};
  return words[static_cast<size_t>(role)];
}

std::string SaidOf(const std::string& attribute, const std::string& value) {
  const PointRole role = RoleOf(attribute, value);
  if (role == PointRole::kOccasion) return absl::StrCat(value, " use");
  if (role != PointRole::kOther) return value;
  const std::vector<std::string> words = WordsOfName(attribute);
  if (value == NameOf(attribute)) return value.substr(std::strlen("has "));
  if (Contains(words, "feature")) return value;
  if (Contains(words, kPriceWord))
    return absl::StrCat(StartsWithVowel(value) ? "an " : "a ", value, " price");
  double number = 0;
  if (IsPlural(attribute) && absl::SimpleAtod(value, &number))
    return absl::StrCat(value, " ", NameOf(attribute));
  std::vector<std::string> name = absl::StrSplit(NameOf(attribute), ' ');
  name.back() = Singular(std::move(name.back()));
  return absl::StrCat(value, " as the ", absl::StrJoin(name, " "));
}

std::string InteractionPhrase(Interaction interaction) {
  return absl::StrReplaceAll(InteractionPattern(interaction), {{" #", ""}});
}

std::string InteractionPhrase(Interaction interaction, const std::string& object) {
  return absl::StrReplaceAll(InteractionPattern(interaction), {{"#", object}});
}

bool IsHundredths(double value) {
  return std::abs(value - std::round(value * 100) / 100) <= 1e-9 * std::abs(value);
}

std::string FormatNumber(double value) {
  if (value == std::floor(value)) return NumberText(value);
  // As prices are written, unless that would say another number.
  return IsHundredths(value) ? absl::StrFormat("%.2f", value) : NumberText(value);
}

ExplanationPlan MakePlan(const ExplainInput& input, const PreferenceSummary& summary,
                         const PlanOptions& options) {
  ExplanationPlan plan;
  plan.item = input.item;
  plan.name_sayable = SayableTitle(input.item.title, options.max_title_bytes);
  for (const Preference& dislike : summary.dislikes)
    plan.disliked.push_back({dislike.attribute, dislike.value});

  const EngagedItems engaged(input);
  const int limit = std::clamp(options.max_points, 0, kNumValueSlots);
  const std::vector<AttributeWord> liked =
      AddLikedPoints(input.item, summary, engaged, limit, plan);

  for (const Preference& like : summary.likes) {
    if (std::find(liked.begin(), liked.end(), AttributeWord{like.attribute, like.value}) ==
        liked.end())
      continue;
    for (const std::string& id : like.evidence_item_ids) {
      if (AddEvent(engaged.Find(id), options, plan))
        break;  // one event per preference, so that events differ
    }
  }

  for (size_t p = 0; p < liked.size(); ++p) {
    for (const PlannedEvent& event : plan.events) {
      if (!EngagedItems::Has(engaged.Find(event.item_id)->item, liked[p])) continue;
      plan.points[p].events.push_back(static_cast<int>(&event - plan.events.data()));
    }
  }

  AddRangePoint(input.item, summary, limit, plan);
  AddFacts(input.item, liked, limit, plan);
  AddCloseEvents(input.close_item_ids, engaged, options, plan);
  AddReasons(input, plan);
  return plan;
}

}  // namespace palate::ranking
