#include "embedding/vector_math.h"

#include <cmath>

namespace palate::embedding {
namespace {

// Below this a direction is rounding noise: the terms are unit vectors.
constexpr double kSmallestLength = 1e-6;

}  // namespace

bool Normalize(std::vector<float>& vector) {
  double square = 0;
  for (float value : vector) square += static_cast<double>(value) * value;
  const double length = std::sqrt(square);
  if (!(length > kSmallestLength) || !std::isfinite(length)) return false;
  for (float& value : vector) value = static_cast<float>(value / length);
  return true;
}

void WeightedSum::Add(absl::Span<const float> vector, double weight) {
  if (sum_.empty()) {
    sum_.assign(vector.size(), 0.0);
    first_.assign(vector.begin(), vector.end());
  }
  for (size_t i = 0; i < vector.size(); ++i) sum_[i] += weight * vector[i];
}

std::vector<float> WeightedSum::UnitVector(size_t dimensions) const {
  std::vector<float> result(sum_.begin(), sum_.begin() + static_cast<ptrdiff_t>(dimensions));
  if (Normalize(result)) return result;
  result.assign(first_.begin(), first_.begin() + static_cast<ptrdiff_t>(dimensions));
  Normalize(result);
  return result;
}

}  // namespace palate::embedding
