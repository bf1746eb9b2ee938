// Blends the first-stage score of a list with the language model's, and decides how much the model
// may say.
//
// Pure functions, thread-safe.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace palate::ranking {

struct GateOptions {
  int min_history = 2;  // with fewer engaged or averse events, the model is not asked
  int full_history =
      10;  // from here on, the catalog's whole weight counts; in between it grows linearly
};

// The model's weight for a user with so many informative events: `weight` (the catalog's, 0 to 1)
// times (events - min_history + 1) / (full_history - min_history + 1), clamped to 0 and 1. A short
// history says little, so the model may say little.
double GatedWeight(double weight, int informative_events, const GateOptions& options = {});

enum class Normalization {
  kStandard,  // minus the mean, divided by the standard deviation: keeps how far apart the scores
              // are
  kRank,      // ranks, evenly spread over [-1, 1], ties sharing their mean rank: immune to outliers
};

// Scores over one list made comparable. A list of equal scores becomes zeros. InvalidArgument when
// a score is not finite.
absl::StatusOr<std::vector<double>> Normalize(absl::Span<const double> scores,
                                              Normalization normalization);

// (1 - weight) * normalized `stage` + weight * normalized `model`, in list order. Both are
// normalized over this list, since retrieval scores and log-odds share no unit. InvalidArgument
// when the lengths differ, a score is not finite, or the weight is outside of [0, 1].
absl::StatusOr<std::vector<double>> Blend(absl::Span<const double> stage,
                                          absl::Span<const float> model, double weight,
                                          Normalization normalization = Normalization::kStandard);

}  // namespace palate::ranking
