// Weighted sums of unit vectors, without LibTorch.
#pragma once

#include <vector>

#include "absl/types/span.h"

namespace palate::embedding {

// Adds up vectors with weights. Starts empty; all vectors have the same size.
class WeightedSum {
 public:
  void Add(absl::Span<const float> vector, double weight = 1.0);
  bool empty() const { return sum_.empty(); }
  // The first `dimensions` values of the sum at unit length. REQUIRES: not empty, and as many
  // values. Vectors that cancel each other have no direction: then the first of them stands for
  // all.
  std::vector<float> UnitVector(size_t dimensions) const;

 private:
  std::vector<double> sum_;
  std::vector<float> first_;
};

}  // namespace palate::embedding
