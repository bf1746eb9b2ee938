#include "ranking/explain/explanation_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "ranking/reasons.h"
#include "ranking/special_tokens.h"

namespace palate::ranking {
namespace {

constexpr char kPriceStem[] = "price";

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

  int CountWith(const AttributeWord& word) const {
    int count = 0;
    for (const auto& [id, entry] : by_id_) count += Has(entry->item, word) ? 1 : 0;
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
  return {kind, attribute, std::move(value), role, std::move(said), num_events, {}, {}};
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
    const int num_events = engaged.CountWith(word);
    if (num_events == 0) continue;

    plan.points.push_back(MakePoint(PlannedPoint::Kind::kLikedValue, word.attribute,
                                    SpellingOf(item, word), num_events));
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

void AddReasons(const std::vector<std::string>& reasons, ExplanationPlan& plan) {
  for (const std::string& reason : reasons) {
    plan.trending = plan.trending || reason == kTrendingReason;
    plan.fresh = plan.fresh || reason == kFreshReason;
    plan.searched = plan.searched || reason == kQueryReason;
    plan.similar = plan.similar || reason == kContextReason;
    plan.neighbors = plan.neighbors || reason == kCoEngagementReason;
  }
}

}  // namespace

Interaction InteractionOf(const std::string& event_type) {
  struct Entry {
    const char* stem;
    Interaction interaction;
  };
  // The first stem that the name contains decides.
  static constexpr Entry kStems[] = {
      {"purchase", Interaction::kBought}, {"buy", Interaction::kBought},
      {"bought", Interaction::kBought},   {"order", Interaction::kBought},
      {"cart", Interaction::kBasket},     {"basket", Interaction::kBasket},
      {"wish", Interaction::kSaved},      {"save", Interaction::kSaved},
      {"bookmark", Interaction::kSaved},  {"favo", Interaction::kLiked},
      {"like", Interaction::kLiked},      {"love", Interaction::kLiked},
      {"rating", Interaction::kRated},    {"rate", Interaction::kRated},
      {"review", Interaction::kRated},    {"watch", Interaction::kWatched},
      {"listen", Interaction::kPlayed},   {"play", Interaction::kPlayed},
      {"read", Interaction::kRead},       {"click", Interaction::kOpened},
      {"open", Interaction::kOpened},     {"view", Interaction::kOpened},
      {"visit", Interaction::kOpened}};

  const std::string name = absl::AsciiStrToLower(event_type);
  for (const Entry& entry : kStems) {
    if (absl::StrContains(name, entry.stem)) return entry.interaction;
  }
  return Interaction::kChose;
}

bool StartsWithVowel(absl::string_view text) {
  return !text.empty() && absl::StrContains("aeiouAEIOU", text.substr(0, 1));
}

PointRole RoleOf(const std::string& attribute, const std::string& value) {
  struct Entry {
    const char* stem;
    PointRole role;
  };
  static constexpr Entry kStems[] = {
      {"material", PointRole::kMaterial},   {"fabric", PointRole::kMaterial},
      {"style", PointRole::kStyle},         {"mood", PointRole::kStyle},
      {"color", PointRole::kColor},         {"colour", PointRole::kColor},
      {"pattern", PointRole::kPattern},     {"occasion", PointRole::kOccasion},
      {"season", PointRole::kOccasion},     {"kind", PointRole::kKind},
      {"genre", PointRole::kKind},          {"tag", PointRole::kKind},
      {"categor", PointRole::kCategory},    {"topic", PointRole::kCategory},
      {"department", PointRole::kCategory}, {"feature", PointRole::kFeature},
      {"brand", PointRole::kMaker},         {"author", PointRole::kMaker},
      {"artist", PointRole::kMaker},        {"director", PointRole::kMaker},
      {"maker", PointRole::kMaker}};

  if (value == NameOf(attribute)) return PointRole::kFeature;
  double number = 0;
  if (absl::StrContains(attribute, kPriceStem))
    return absl::SimpleAtod(value, &number) ? PointRole::kPrice : PointRole::kOther;

  // Stems match plurals and longer names too: "genres", "main_color".
  for (const Entry& entry : kStems) {
    if (absl::StrContains(attribute, entry.stem)) return entry.role;
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
  if (absl::StrContains(attribute, kPriceStem))
    return absl::StrCat(StartsWithVowel(value) ? "an " : "a ", value, " price");
  return absl::StrCat(NameOf(attribute), " ", value);
}

std::string InteractionPhrase(Interaction interaction) {
  return absl::StrReplaceAll(InteractionPattern(interaction), {{" #", ""}});
}

std::string InteractionPhrase(Interaction interaction, const std::string& object) {
  return absl::StrReplaceAll(InteractionPattern(interaction), {{"#", object}});
}

std::string FormatNumber(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return absl::StrFormat("%.0f", value);
  return absl::StrFormat("%.2f", value);
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
  AddReasons(input.reasons, plan);
  return plan;
}

}  // namespace palate::ranking
