// Summarizes a user's history: liked values, disliked values, and the numeric ranges of engaged
// items.
//
// Usage:
//   const PreferenceSummary summary = Summarize(history);
//   for (const Preference& like : summary.likes) words.push_back(like.value);
//
// Pure functions, thread-safe. Independent of the catalog: string, list and bool attributes count
// by value, numeric attributes become ranges, and strings too long to be values are ignored.
//
// Weights of values: each item counts once, by its strongest event. The event's signed weight,
// scaled so that the largest is 1, has the trust 0.5^(age / half_life). Age is measured from the
// user's newest event, so old logs work too. The weights of all values are fitted together by ridge
// regression: a value gets the part that it explains by itself, and a color that merely occurs with
// a liked material gets little. Shrinkage ranks a habit above a single event; for a short history
// the result is proportional to plain sums. Over four generated shops (320 shoppers, ordering 300
// products by the sum of matched weights) this gave an NDCG@10 of 0.33 against 0.26 to 0.28 for
// decayed sums of several normalizations. Reference: Hoerl and Kennard, "Ridge regression",
// Technometrics 1970.
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
  int max_evidence = 5;     // item ids per preference, strongest first
  double shrinkage = 10.0;  // the ridge penalty, in items
  double min_share = 0.08;  // preferences below this share of the strongest are dropped
  double range_low = 0.1;   // weighted quantiles of the engaged items' numbers
  double range_high = 0.9;
  int min_range_events = 3;        // fewer engaged items with the attribute give no range
  size_t max_value_bytes = 40;     // longer strings are text, not values
  size_t max_words_per_item = 64;  // further values in attribute order are ignored
};

// Deterministic; ties are broken by attribute, then value. An item of weight 0 is evidence against
// its values. An empty history gives an empty summary.
PreferenceSummary Summarize(const std::vector<HistoryEntry>& history,
                            const SummaryOptions& options = {});

// One attribute value in the form of the summary: strings in lower case and trimmed, bools as "yes"
// or "no".
struct AttributeWord {
  std::string attribute;
  std::string value;
  auto operator<=>(const AttributeWord&) const = default;
};

// The non-numeric values of an item in attribute order, without duplicates.
std::vector<AttributeWord> WordsOf(const Attributes& attributes,
                                   size_t max_value_bytes = SummaryOptions().max_value_bytes);

// The attribute's value if it is an int64 or a double, else nullopt.
std::optional<double> NumberOf(const Attributes& attributes, const std::string& attribute);

// Classifies an event by its weight relative to the largest absolute weight of the history.
enum class Engagement { kPassing, kEngaged, kAverse };
Engagement EngagementOf(double weight, double max_absolute_weight);

// The largest absolute weight in the history; 0 when it is empty.
double MaxAbsoluteWeight(const std::vector<HistoryEntry>& history);

}  // namespace palate::ranking
