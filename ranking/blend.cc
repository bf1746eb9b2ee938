#include "ranking/blend.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/attribute.h"

namespace palate::ranking {
namespace {

double MeanOf(absl::Span<const double> scores) {
  return std::accumulate(scores.begin(), scores.end(), 0.0) / static_cast<double>(scores.size());
}

std::vector<double> Standardized(absl::Span<const double> scores) {
  const double mean = MeanOf(scores);
  const double deviation = DeviationOf(scores);

  std::vector<double> standardized(scores.size(), 0.0);
  if (deviation == 0) return standardized;
  for (size_t i = 0; i < scores.size(); ++i) standardized[i] = (scores[i] - mean) / deviation;
  return standardized;
}

std::vector<double> Ranked(absl::Span<const double> scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });

  std::vector<double> ranked(scores.size(), 0.0);
  if (scores.size() < 2) return ranked;

  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && scores[order[end]] == scores[order[begin]]) ++end;
    const double mean_rank = 0.5 * static_cast<double>(begin + end - 1);
    const double value = 2.0 * mean_rank / static_cast<double>(scores.size() - 1) - 1.0;
    for (size_t i = begin; i < end; ++i) ranked[order[i]] = value;
    begin = end;
  }
  return ranked;
}

}  // namespace

double GatedWeight(double weight, int informative_events, const GateOptions& options) {
  const int steps = options.full_history - options.min_history + 1;
  if (steps <= 0) return informative_events >= options.min_history ? weight : 0.0;
  const double open = static_cast<double>(informative_events - options.min_history + 1) / steps;
  return weight * std::clamp(open, 0.0, 1.0);
}

double DeviationOf(absl::Span<const double> scores) {
  if (scores.empty()) return 0;
  const double mean = MeanOf(scores);
  double squares = 0;
  for (const double score : scores) squares += (score - mean) * (score - mean);
  const double deviation = std::sqrt(squares / static_cast<double>(scores.size()));
  // A deviation of this size is rounding noise of equal scores.
  return deviation > 1e-12 * std::max(1.0, std::abs(mean)) ? deviation : 0;
}

absl::StatusOr<std::vector<double>> Normalize(absl::Span<const double> scores,
                                              Normalization normalization) {
  for (size_t i = 0; i < scores.size(); ++i) {
    if (!std::isfinite(scores[i]))
      return absl::InvalidArgumentError(absl::StrCat("score ", i, " is not finite"));
  }

  if (scores.empty()) return std::vector<double>();
  return normalization == Normalization::kRank ? Ranked(scores) : Standardized(scores);
}

absl::StatusOr<std::vector<double>> Blend(absl::Span<const double> stage,
                                          absl::Span<const float> model, double weight,
                                          Normalization normalization) {
  if (stage.size() != model.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(stage.size(), " stage scores and ", model.size(), " model scores"));
  }
  if (!(weight >= 0 && weight <= 1))
    return absl::InvalidArgumentError(
        absl::StrCat("weight ", NumberText(weight), " is not between 0 and 1"));

  PALATE_ASSIGN_OR_RETURN(std::vector<double> blended, Normalize(stage, normalization));
  const std::vector<double> wide(model.begin(), model.end());
  PALATE_ASSIGN_OR_RETURN(const std::vector<double> model_scores, Normalize(wide, normalization));

  for (size_t i = 0; i < blended.size(); ++i)
    blended[i] = (1 - weight) * blended[i] + weight * model_scores[i];
  return blended;
}

}  // namespace palate::ranking
