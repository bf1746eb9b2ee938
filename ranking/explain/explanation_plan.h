// What an explanation may rest on: the preferences that the item meets, the user's events that show
// them, and the sources that brought the item. The plan is made first; templates, the explain
// prompt, training targets and the evidence check all read the same plan.
//
// Plain values and pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "ranking/preferences.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

// What the user did, as a sentence may say it. Derived from the event type's name; an unknown name
// is kChose.
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
// With the item in its place: "bought T", "rated T highly", "put T in your basket".
std::string InteractionPhrase(Interaction interaction, const std::string& object);

// One of the user's events that the text may name.
struct PlannedEvent {
  std::string item_id;
  std::string title;
  Interaction interaction = Interaction::kChose;
};

// What sort of fact an attribute's value is: it decides how a sentence may phrase the value. kKind
// is what one thing is called ("a teapot"), kCategory what many belong to ("kitchen"). Unknown
// names are kOther.
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
// By the attribute's name, and by the value as PlannedPoint spells it: a price is a number, and
// what is true or false is a feature.
PointRole RoleOf(const std::string& attribute, const std::string& value);
// The words for a value that fit the phrases of its role ("made of …", "made with … in mind"):
// "walnut", "travel use", "a premium price", "country France".
std::string SaidOf(const std::string& attribute, const std::string& value);
// "material", "style", …: the word for it in prompts. A kind and a category share theirs.
const std::string& PointRoleWord(PointRole role);

// From so many events on, a sentence may say "often".
inline constexpr int kOftenEvents = 3;

// One fact of the item, usually one that meets a preference.
struct PlannedPoint {
  enum class Kind {
    kLikedValue,  // the item has a value that the user likes
    kInRange,     // the item's number lies in the user's range
    kItemFact,    // a fact of the item, without a claim about the user
  };
  Kind kind = Kind::kItemFact;
  std::string attribute;
  std::string value;  // as the item spells it: "walnut", "49.90"
  PointRole role = PointRole::kOther;
  std::string said;    // SaidOf(attribute, value)
  int num_events = 0;  // engaged events of the user with that value
  std::vector<int>
      events;  // indices into ExplanationPlan::events: those whose items have the value too
  std::vector<std::string>
      evidence_item_ids;  // engaged items that show the preference, strongest first
};

struct ExplanationPlan {
  ItemFacts item;
  bool name_sayable = false;         // the item's title is short enough to be said
  std::vector<PlannedPoint> points;  // strongest first, at most kNumValueSlots
  std::vector<PlannedEvent>
      events;  // at most kNumTitleSlots, all engaged, titles distinct and short enough to be said
  bool trending = false;
  bool fresh = false;
  bool searched = false;   // a query of the user brought the item
  bool similar = false;    // an item in the request's context brought it
  bool neighbors = false;  // users with the same items brought it
  // Not for saying, for checking: values that the user dislikes.
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

// Whether "an" goes before it rather than "a", by its first letter.
bool StartsWithVowel(absl::string_view text);

// How a number is written in texts: "49", "49.90".
std::string FormatNumber(double value);

}  // namespace palate::ranking
