// The facts that an explanation may use: preferences that the item meets, events of the user that
// support them, and the candidate sources of the item. Templates, the EXPLAIN prompt, training
// targets and the evidence check all read the same plan.
//
// Usage:
//   const ExplanationPlan plan = MakePlan(input, Summarize(input.history));
//   for (const PlannedPoint& point : plan.points) said.push_back(point.said);
//
// Plain values and pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "ranking/preferences.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

// An interaction of the user in the words of a sentence, derived from the whole words of the event
// type's name ("add_to_cart", "pageView"); kChose if none is known, or one negates ("dislike").
enum class Interaction {
  kBought,
  kLiked,
  kBasket,
  kOpened,
  kRated,
  kWatched,
  kPlayed,
  kRead,
  kSaved,
  kChose
};
Interaction InteractionOf(const std::string& event_type);
// "bought", "rated highly", "put in your basket": as in "which you …".
std::string InteractionPhrase(Interaction interaction);
// The same with the item inserted: "bought T", "rated T highly", "put T in your basket".
std::string InteractionPhrase(Interaction interaction, const std::string& object);

// An event of the user that the text may name.
struct PlannedEvent {
  std::string item_id;
  std::string title;
  Interaction interaction = Interaction::kChose;
  bool close = false;  // the item was found because it is close to this one
};

// The kind of fact that an attribute's value is, which decides its phrases. kKind names one thing
// ("a teapot"), kCategory a group ("kitchen"). Attributes with unknown names are kOther.
enum class PointRole {
  kMaterial,
  kStyle,
  kColor,
  kPattern,
  kOccasion,
  kKind,
  kCategory,
  kFeature,
  kMaker,
  kPrice,
  kOther
};
// Derived from the whole words of the attribute's name and the value as spelled in PlannedPoint: a
// price is a number, a bool is a feature, and so is a value that reads as an adjective
// ("foldable").
PointRole RoleOf(const std::string& attribute, const std::string& value);
// The value in words that fit the phrases of its role ("made of …", "made with … in mind"):
// "walnut", "travel use", "a premium price", "France as the country", "320 pages".
std::string SaidOf(const std::string& attribute, const std::string& value);
// The word for the role in prompts: "material", "style", …. kKind and kCategory share one.
const std::string& PointRoleWord(PointRole role);

// The number of events from which a sentence may say "often".
inline constexpr int kOftenEvents = 3;

// An item may be called new up to this age.
inline constexpr absl::Duration kNewAge = absl::Hours(24 * 30);
// The decayed popularity (ExplainInput::popularity) from which many people may be said to choose an
// item: well above what one event adds, a rating of 5 included.
inline constexpr double kManyPopularity = 10;

// One fact of the item, usually one that meets a preference.
struct PlannedPoint {
  enum class Kind {
    kLikedValue,  // the item has a value that the user likes
    kInRange,     // the item's number is in the user's range
    kItemFact,    // a fact of the item, without a claim about the user
  };
  Kind kind = Kind::kItemFact;
  std::string attribute;
  std::string value;  // as the item spells it: "walnut", "49.90"
  PointRole role = PointRole::kOther;
  std::string said;     // SaidOf(attribute, value)
  int num_events = 0;   // engaged items of the history with that value
  int num_choices = 0;  // those of them that the user did more than look at
  // Indices into ExplanationPlan::events, of those whose items have the value too.
  std::vector<int> events;
  // Engaged items that support the preference, strongest first.
  std::vector<std::string> evidence_item_ids;
};

// The number of events that a sentence about the preference counts: the choices, or the looks where
// there is no choice.
inline int FrequencyOf(const PlannedPoint& point) {
  return point.num_choices > 0 ? point.num_choices : point.num_events;
}

struct ExplanationPlan {
  ItemFacts item;
  bool name_sayable = false;         // the item's title may be mentioned: not empty or too long
  std::vector<PlannedPoint> points;  // strongest first, at most kNumValueSlots
  // At most kNumTitleSlots; engaged, with distinct titles that are not too long to be mentioned.
  std::vector<PlannedEvent> events;
  bool trending = false;   // from the trending source, with at least kManyPopularity
  bool fresh = false;      // from the fresh source, and no older than kNewAge
  bool searched = false;   // a query of the user brought the item
  bool similar = false;    // an item in the request's context brought it
  bool neighbors = false;  // users with the same items brought it
  // Values that the user dislikes; used by the check only.
  std::vector<AttributeWord> disliked;
};

struct PlanOptions {
  int max_points = 3;
  int max_events = 2;
  size_t max_title_bytes = 80;
};

// `summary` is Summarize(input.history).
ExplanationPlan MakePlan(const ExplainInput& input, const PreferenceSummary& summary,
                         const PlanOptions& options = {});

// Whether a model has anything to phrase: a fact of the item. A source or a close item has fixed
// sentences, which the templates write.
bool HasSomethingToSay(const ExplanationPlan& plan);

// Whether the article before `text` is "an", by its first letter.
bool StartsWithVowel(absl::string_view text);

// Whether two digits after the point write the number exactly, apart from what binary fractions
// cannot hold.
bool IsHundredths(double value);

// A number as texts write it: "49", "49.90", "0.004".
std::string FormatNumber(double value);

}  // namespace palate::ranking
