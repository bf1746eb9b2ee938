// Vector segments without FAISS: a scan in C++. Tests of threads use them, because FAISS is not
// built with ThreadSanitizer, and tests of results compare with them.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "retrieval/vector_segment.h"

namespace palate::retrieval {

class ExactSegment final : public VectorSegment {
 public:
  ExactSegment(int dimensions, std::vector<float> vectors)
      : dimensions_(dimensions), vectors_(std::move(vectors)) {}

  int64_t size() const override { return static_cast<int64_t>(vectors_.size()) / dimensions_; }
  int dimensions() const override { return dimensions_; }
  int64_t memory_bytes() const override {
    return static_cast<int64_t>(vectors_.size() * sizeof(float));
  }
  absl::StatusOr<std::vector<VectorHit>> Search(const float* query, int64_t k,
                                                const Bitmap* allowed) const override {
    std::vector<VectorHit> hits;
    for (int64_t i = 0; i < size(); ++i) {
      if (allowed != nullptr && !allowed->Test(i)) continue;
      float score = 0;
      for (int d = 0; d < dimensions_; ++d) score += query[d] * vectors_[i * dimensions_ + d];
      hits.push_back({.index = static_cast<uint32_t>(i), .score = score});
    }

    std::stable_sort(hits.begin(), hits.end(),
                     [](const VectorHit& a, const VectorHit& b) { return a.score > b.score; });
    if (static_cast<int64_t>(hits.size()) > k) hits.resize(k);
    return hits;
  }
  void Reconstruct(int64_t index, float* out) const override {
    std::copy_n(vectors_.begin() + index * dimensions_, dimensions_, out);
  }
  absl::StatusOr<std::string> Serialize() const override {
    return std::string(reinterpret_cast<const char*>(vectors_.data()),
                       vectors_.size() * sizeof(float));
  }

 private:
  const int dimensions_;
  const std::vector<float> vectors_;
};

class ExactSegments final : public VectorSegmentFactory {
 public:
  absl::StatusOr<std::unique_ptr<VectorSegment>> Build(int dimensions,
                                                       const std::vector<float>& vectors,
                                                       bool) const override {
    return std::make_unique<ExactSegment>(dimensions, vectors);
  }
  absl::StatusOr<std::unique_ptr<VectorSegment>> Deserialize(
      int dimensions, int64_t size, absl::string_view bytes) const override {
    if (bytes.size() != sizeof(float) * dimensions * size)
      return absl::DataLossError("wrong length");

    const float* values = reinterpret_cast<const float*>(bytes.data());
    std::vector<float> vectors(values, values + dimensions * size);
    return std::make_unique<ExactSegment>(dimensions, std::move(vectors));
  }
  std::string Describe() const override { return "plain scan"; }
};

}  // namespace palate::retrieval
