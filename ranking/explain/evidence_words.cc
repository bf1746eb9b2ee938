#include "ranking/explain/evidence_words.h"

namespace palate::ranking {
namespace {

// Words that claim nothing by themselves.
const absl::flat_hash_set<absl::string_view>& PlainWords() {
  static const auto& words = *new absl::flat_hash_set<absl::string_view>{
      "a",      "about",      "added",     "after",   "all",    "also",      "an",
      "and",    "another",    "are",       "as",      "at",     "back",      "because",
      "been",   "before",     "belongs",   "both",    "bring",  "brings",    "brought",
      "by",     "catalog",    "catalogue", "change",  "choice", "choose",    "chosen",
      "chose",  "color",      "colors",    "colour",  "come",   "comes",     "coming",
      "design", "designs",    "different", "drawn",   "else",   "features",  "find",
      "finds",  "fit",        "fits",      "for",     "from",   "go",        "goes",
      "going",  "had",        "has",       "have",    "here",   "how",       "idea",
      "in",     "interest",   "into",      "is",      "it",     "item",      "items",
      "its",    "it's",       "just",      "kind",    "kinds",  "like",      "look",
      "looks",  "made",       "match",     "matches", "mind",   "more",      "now",
      "of",     "on",         "one",       "ones",    "or",     "pattern",   "patterns",
      "pick",   "picked",     "picks",     "piece",   "pieces", "right",     "same",
      "showed", "shown",      "since",     "so",      "some",   "something", "style",
      "such",   "suggestion", "than",      "that",    "the",    "them",      "these",
      "they",   "thing",      "things",    "this",    "those",  "to",        "together",
      "too",    "try",        "was",       "we",      "well",   "went",      "were",
      "what",   "when",       "where",     "which",   "while",  "with",      "within",
      "you",    "you've",     "your",      "yours",   "'s"};

  return words;
}

bool IsClaimWord(absl::string_view word) {
  return InteractionWords().contains(word) || FrequencyWords().contains(word) ||
         SourceWords().contains(word) || word == "price" || word == "priced" || word == "range";
}

}  // namespace

bool IsPlainWord(absl::string_view word) {
  return PlainWords().contains(word) || IsClaimWord(word);
}

const absl::flat_hash_map<absl::string_view, Interaction>& InteractionWords() {
  static const auto& words = *new absl::flat_hash_map<absl::string_view, Interaction>{
      {"bought", Interaction::kBought},  {"purchased", Interaction::kBought},
      {"ordered", Interaction::kBought}, {"liked", Interaction::kLiked},
      {"basket", Interaction::kBasket},  {"cart", Interaction::kBasket},
      {"put", Interaction::kBasket},     {"looked", Interaction::kOpened},
      {"opened", Interaction::kOpened},  {"rated", Interaction::kRated},
      {"highly", Interaction::kRated},   {"watched", Interaction::kWatched},
      {"played", Interaction::kPlayed},  {"read", Interaction::kRead},
      {"saved", Interaction::kSaved}};
  return words;
}

const absl::flat_hash_map<absl::string_view, int>& FrequencyWords() {
  static const auto& words =
      *new absl::flat_hash_map<absl::string_view, int>{{"often", kOftenEvents},
                                                       {"again", kOftenEvents},
                                                       {"keep", kOftenEvents},
                                                       {"frequently", kOftenEvents},
                                                       {"time", kOftenEvents},
                                                       {"times", kOftenEvents},
                                                       {"usually", kOftenEvents},
                                                       {"usual", kOftenEvents},
                                                       {"regularly", kOftenEvents},
                                                       {"several", kOftenEvents},
                                                       {"twice", 2},
                                                       {"once", 2},
                                                       {"already", 1}};
  return words;
}

const absl::flat_hash_set<absl::string_view>& ChoiceWords() {
  static const auto& words = *new absl::flat_hash_set<absl::string_view>{
      "choose", "chose", "chosen", "picked", "go", "went"};
  return words;
}

const absl::flat_hash_map<absl::string_view, SourceClaim>& SourceWords() {
  static const auto& words = *new absl::flat_hash_map<absl::string_view, SourceClaim>{
      {"popular", {.trending = true}}, {"trending", {.trending = true}},
      {"many", {.trending = true}},    {"people", {.trending = true, .neighbors = true}},
      {"others", {.neighbors = true}}, {"similar", {.similar = true, .neighbors = true}},
      {"close", {.similar = true}},    {"looking", {.similar = true}},
      {"open", {.similar = true}},     {"new", {.fresh = true}},
      {"arrived", {.fresh = true}},    {"arrival", {.fresh = true}},
      {"search", {.searched = true}},  {"searched", {.searched = true}}};
  return words;
}

const absl::flat_hash_set<absl::string_view>& LeadingWords() {
  static const auto& words = *new absl::flat_hash_set<absl::string_view>{
      "a",   "about", "also", "an",   "and",   "are",   "as",  "at",   "because",
      "by",  "for",   "from", "had",  "has",   "have",  "in",  "into", "is",
      "its", "made",  "of",   "on",   "or",    "since", "so",  "such", "than",
      "the", "to",    "was",  "were", "while", "with",  "your"};
  return words;
}

bool TakesParticle(absl::string_view verb, absl::string_view particle) {
  return (particle == "for" && verb == "searched") ||
         (particle == "at" && (verb == "looking" || verb == "looked"));
}

const std::vector<Frame>& Frames() {
  // The roles of values that may follow "is" directly.
  const std::vector<PointRole> kQualities = {PointRole::kMaterial, PointRole::kStyle,
                                             PointRole::kColor, PointRole::kPattern,
                                             PointRole::kFeature};

  static const auto* const frames = new std::vector<Frame>{
      {"made", "of", "", "", "a material", {PointRole::kMaterial}},
      {"", "by", "", "", "a maker", {PointRole::kMaker}},
      {"", "from", "", "", "a maker", {PointRole::kMaker}},
      {"", "at", "", "", "a price in figures", {PointRole::kPrice}},
      {"", "color", "", "", "a color", {PointRole::kColor}},
      {"",
       "with",
       "",
       "",
       "a fact named by its attribute",
       {PointRole::kOther, PointRole::kOccasion, PointRole::kPrice}},
      {"", "has", "", "", "a fact named by its attribute", {PointRole::kOther}},
      {"",
       "in",
       "",
       "",
       "a material or a color",
       {PointRole::kMaterial, PointRole::kColor, PointRole::kOther}},
      {"pick", "for", "", "", "an occasion", {PointRole::kOccasion}},
      {"made", "for", "", "", "an occasion", {PointRole::kOccasion}},
      {"belongs", "to", "", "", "a category", {PointRole::kCategory}},
      {"", "", "pattern", "", "a pattern", {PointRole::kPattern}},
      {"", "", "patterns", "", "a pattern", {PointRole::kPattern}},
      {"", "", "look", "", "a style", {PointRole::kStyle}},
      {"", "", "style", "", "a style", {PointRole::kStyle}},
      {"", "", "in", "style", "a style", {PointRole::kStyle}},
      {"", "", "in", "mind", "an occasion", {PointRole::kOccasion}},
      {"", "", "design", "", "a style or a feature", {PointRole::kStyle, PointRole::kFeature}},
      {"", "", "designs", "", "a style or a feature", {PointRole::kStyle, PointRole::kFeature}},
      {"", "", "pick", "", "a kind of thing", {PointRole::kKind, PointRole::kCategory}},
      {"", "", "picks", "", "a kind of thing", {PointRole::kKind, PointRole::kCategory}},
      {"", "", "find", "", "a kind of thing", {PointRole::kKind, PointRole::kCategory}},
      {"", "", "finds", "", "a kind of thing", {PointRole::kKind, PointRole::kCategory}},
      {"", "", "things", "", "a feature", {PointRole::kFeature}},
      {"that", "are", "", "", "a feature", {PointRole::kFeature}},
      {"", "is", "", "", "a quality", kQualities},
      {"is", "also", "", "", "a quality", kQualities},
  };
  return *frames;
}

}  // namespace palate::ranking
