#include "embedding/vector_math.h"

#include "domain/vector.h"

namespace palate::embedding {
namespace {

// The terms are unit vectors, so the direction of a shorter sum is rounding noise.
constexpr double kSmallestLength = 1e-6;

}  // namespace

void WeightedSum::Add(absl::Span<const float> vector, double weight) {
  if (sum_.empty()) {
    sum_.assign(vector.size(), 0.0);
    first_.assign(vector.begin(), vector.end());
  }
  for (size_t i = 0; i < vector.size(); ++i) sum_[i] += weight * vector[i];
}

std::vector<float> WeightedSum::UnitVector(size_t dimensions) const {
  std::vector<float> result(sum_.begin(), sum_.begin() + static_cast<ptrdiff_t>(dimensions));
  if (Normalize(result, kSmallestLength)) return result;
  result.assign(first_.begin(), first_.begin() + static_cast<ptrdiff_t>(dimensions));
  Normalize(result, kSmallestLength);
  return result;
}

}  // namespace palate::embedding
