// Vectors and the spaces in which they can be compared.
//
// Usage:
//   SpaceVector vector = {.space = {.name = "text", .fingerprint = "model-1"}, .values = {3, 4}};
//   const bool has_direction = Normalize(vector.values);
//   const double similarity = Dot(vector.values, vector.values);
//
// Plain values and pure functions: copyable, no synchronization. They are neither the public
// messages (proto/palate/*/v1) nor the records on disk (proto/palate/storage/v1); services/ and
// featurestore/ convert between them.
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"

namespace palate {

// Vectors can be compared only if they are of the same space and model; the fingerprint identifies
// the model.
struct SpaceKey {
  std::string name;
  std::string fingerprint;
  auto operator<=>(const SpaceKey&) const = default;
};

struct SpaceVector {
  SpaceKey space;
  std::vector<float> values;  // [dimensions], unit length
};

// Inner product, accumulated in double. REQUIRES: both sides have the same length.
double Dot(absl::Span<const float> a, absl::Span<const float> b);

// Euclidean length, accumulated in double.
double Length(absl::Span<const float> values);

// Scales to unit length. Returns false, and leaves the values unchanged, if their length is not
// finite or not above `min_length`.
bool Normalize(std::vector<float>& values, double min_length = 0);

// A search for the `k` nearest neighbors of a vector among the vectors of its space.
struct VectorQuery {
  SpaceVector vector;  // any length above 0: searches compare directions
  int k = 0;           // at least 1
};

// Items of which a search returns the first `k` that its filter, exclusions and time allow.
struct CandidateList {
  std::vector<std::string> item_ids;  // in order; empty: all items, the last changed first
  int k = 0;                          // at least 1
};

}  // namespace palate
