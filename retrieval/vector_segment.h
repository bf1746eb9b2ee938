// The interface of the vectors of one space in one segment: immutable, searched by inner product.
// Implementations decide the type of index (retrieval/faiss_segment.h).
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<VectorSegment> segment,
//                           factory.Build(/*dimensions=*/2, {1, 0, 0, 1}, /*delta=*/false));
//   const float query[] = {0.6f, 0.8f};
//   PALATE_ASSIGN_OR_RETURN(const std::vector<VectorHit> hits,
//                           segment->Search(query, /*k=*/1, /*allowed=*/nullptr));
//
// Thread-safe. Search() runs on the calling thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "retrieval/bitmap.h"

namespace palate::retrieval {

struct VectorHit {
  uint32_t index = 0;  // of the vector in its segment
  float score = 0;     // inner product
};

class VectorSegment {
 public:
  virtual ~VectorSegment() = default;

  virtual int64_t size() const = 0;
  virtual int dimensions() const = 0;
  // The `k` best vectors, or fewer if there are fewer, in descending order of score. `query` is
  // [dimensions]. `allowed`, of size() bits, selects the vectors that may be returned; null allows
  // all. The k best of the allowed vectors are found, however few they are. The order and the
  // choice among equal scores are unspecified.
  virtual absl::StatusOr<std::vector<VectorHit>> Search(const float* query, int64_t k,
                                                        const Bitmap* allowed) const = 0;
  // Writes the vector that was put in, [dimensions], to `out`. `index` is below size().
  virtual void Reconstruct(int64_t index, float* out) const = 0;
  virtual int64_t memory_bytes() const = 0;
  // Bytes that the factory's Deserialize() takes.
  virtual absl::StatusOr<std::string> Serialize() const = 0;
};

// Makes segments. Thread-safe.
class VectorSegmentFactory {
 public:
  virtual ~VectorSegmentFactory() = default;

  // `vectors` is [n, dimensions]. `delta` segments are small and short-lived, so that an index that
  // is costly to build does not pay off.
  virtual absl::StatusOr<std::unique_ptr<VectorSegment>> Build(int dimensions,
                                                               const std::vector<float>& vectors,
                                                               bool delta) const = 0;
  // DataLoss when the bytes are not a segment of `size` vectors of `dimensions`.
  virtual absl::StatusOr<std::unique_ptr<VectorSegment>> Deserialize(
      int dimensions, int64_t size, absl::string_view bytes) const = 0;
  // One line for the log: library, instruction set, BLAS.
  virtual std::string Describe() const = 0;
};

}  // namespace palate::retrieval
