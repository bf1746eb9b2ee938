// Weighted sums of unit vectors. Without LibTorch.
#pragma once

#include <vector>

#include "absl/types/span.h"

namespace palate::embedding {

// Adds vectors with weights. Starts empty; all vectors must have the same size. Not synchronized.
class WeightedSum {
 public:
  void Add(absl::Span<const float> vector, double weight = 1.0);
  bool empty() const { return sum_.empty(); }
  // The first `dimensions` values of the sum at unit length. REQUIRES: not empty, and at least that
  // many values. If the vectors cancel each other, the first vector is returned instead.
  std::vector<float> UnitVector(size_t dimensions) const;

 private:
  std::vector<double> sum_;
  std::vector<float> first_;
};

}  // namespace palate::embedding
