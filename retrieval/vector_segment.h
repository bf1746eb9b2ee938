// The vectors of one space in one segment: immutable, searched by inner product. The seam behind
// which index types live.
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
  // The `k` best, or as many as there are, in falling score. `query` is [dimensions]. `allowed`, of
  // size() bits, says which vectors may be returned; null allows all. However few it allows, all of
  // the k best among them are found. Order and choice among equal scores are open.
  virtual absl::StatusOr<std::vector<VectorHit>> Search(const float* query, int64_t k,
                                                        const Bitmap* allowed) const = 0;
  // The vector as it was put in, [dimensions]. `index` is below size().
  virtual void Reconstruct(int64_t index, float* out) const = 0;
  virtual int64_t memory_bytes() const = 0;
  // Bytes that the factory's Deserialize() takes.
  virtual absl::StatusOr<std::string> Serialize() const = 0;
};

// Makes segments. Thread-safe.
class VectorSegmentFactory {
 public:
  virtual ~VectorSegmentFactory() = default;

  // `vectors` is [n, dimensions]. Delta segments are small and short-lived: they are never worth a
  // graph.
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
