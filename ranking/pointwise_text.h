// Writes the texts that a pointwise model reads: the user's history as a query, an item as a
// document.
//
// Usage:
//   const std::string query = QueryFromHistory(history);
//   const std::string document = DocumentFromFacts(item);
//
// Pure functions, thread-safe. The texts are plain English around the catalog's values, like the
// texts that published rerankers were trained on.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

// The instruction for a query written from a history, unless the request has an instruction.
inline constexpr absl::string_view kPreferenceInstruction =
    "Given what a person likes and dislikes, judge whether this person would choose the item.";

// The preference summary, strongest first, then the titles that the user engaged with last:
//
//   Likes: material walnut; style minimalist. Dislikes: material brass. Usual price: 40 to 120.
//   Recently liked: Oak chair; Desk lamp.
//
// Parts without content are omitted; an empty history gives an empty text.
std::string QueryFromHistory(const std::vector<HistoryEntry>& history);

// Title, description (its first 2,000 bytes at most, cut between characters), then a line "name:
// value" per attribute.
std::string DocumentFromFacts(const ItemFacts& item);

}  // namespace palate::ranking
