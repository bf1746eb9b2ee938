// What a pointwise model reads of a recommendation: the user's history as a query in words, an item
// as a document.
//
// Pure functions, thread-safe. The words are plain English around the catalog's own values;
// published rerankers were trained on such text.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

// For a query that was written from a history, unless the request brings an instruction of its own.
inline constexpr absl::string_view kPreferenceInstruction =
    "Given what a person likes and dislikes, judge whether this person would choose the item.";

// The summary, strongest first, then the titles that the person engaged with last:
//
//   Likes: material walnut; style minimalist. Dislikes: material brass. Usual price: 40 to 120.
//   Recently liked: Oak chair; Desk lamp.
//
// Parts without content are left out; an empty history gives an empty text.
std::string QueryFromHistory(const std::vector<HistoryEntry>& history);

// Title, description (its first 2,000 bytes at most, never half a character), then a line "name:
// value" per attribute.
std::string DocumentFromFacts(const ItemFacts& item);

}  // namespace palate::ranking
