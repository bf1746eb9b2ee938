// Blends first-stage scores with the scores of the ranking model, and decides the weight of the
// model.
//
// Usage:
//   const double weight = GatedWeight(catalog_weight, informative_events);
//   PALATE_ASSIGN_OR_RETURN(const std::vector<double> blended,
//                           Blend(stage_scores, model_scores, weight));
//
// Pure functions, thread-safe.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace palate::ranking {

struct GateOptions {
  int min_history = 2;    // with fewer engaged or averse events the weight is 0
  int full_history = 10;  // from here on the weight is the catalog's
};

// The model's weight for a user with so many engaged or averse events: `weight` (the catalog's, 0
// to 1) times (events - min_history + 1) / (full_history - min_history + 1), clamped to [0, 1]. A
// short history tells the model little about the user.
double GatedWeight(double weight, int informative_events, const GateOptions& options = {});

// The standard deviation over the scores; 0 for none, and for equal scores up to rounding.
double DeviationOf(absl::Span<const double> scores);

enum class Normalization {
  // (score - mean) / standard deviation: preserves the distances between scores.
  kStandard,
  // Ranks, spread evenly over [-1, 1]; equal scores share their mean rank. Robust to outliers.
  kRank,
};

// Normalizes the scores of one list. Equal scores become zeros. InvalidArgument when a score is not
// finite.
absl::StatusOr<std::vector<double>> Normalize(absl::Span<const double> scores,
                                              Normalization normalization);

// (1 - weight) * normalized `stage` + weight * normalized `model`, in list order. Both are
// normalized over this list because retrieval scores and log-odds have no common unit.
// InvalidArgument when the lengths differ, a score is not finite, or the weight is outside [0, 1].
absl::StatusOr<std::vector<double>> Blend(absl::Span<const double> stage,
                                          absl::Span<const float> model, double weight,
                                          Normalization normalization = Normalization::kStandard);

}  // namespace palate::ranking
