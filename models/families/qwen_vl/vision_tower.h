// What the language side asks of a vision tower, whichever family it is of.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "models/image/vl_processor.h"

namespace palate::models {

// What a tower says about some images, in their order. `n` is the number of their merged patches,
// images end to end.
struct VisionFeatures {
  at::Tensor
      embeddings;  // [n, decoder hidden]: takes the place of the image placeholders' embeddings
  std::vector<at::Tensor> deepstack;  // each [n, decoder hidden]: added after decoder layer i at
                                      // those places; often none
};

// Immutable and thread-safe after loading. Images are computed together, as sequences of their own
// lengths without padding; they never influence each other.
class VisionTower {
 public:
  virtual ~VisionTower() = default;

  // In the compute type, on the tower's device. Plain ATen calls throw: serving code wraps its
  // calls in CatchTorch. REQUIRES: `images` is not empty; each has at least one patch, grid sides
  // of multiples of merge_size, and its grid's patches.
  virtual VisionFeatures Forward(absl::Span<const ImagePatches> images) const = 0;

  // Values of one patch: 3 * temporal_patch * patch * patch.
  virtual int64_t patch_values() const = 0;
  // Patches of a merge block lie on a square with sides of this many.
  virtual int64_t merge_size() const = 0;
  // Columns of the features: the decoder's hidden size.
  virtual int64_t out_hidden_size() const = 0;

  // Rows of `embeddings` that an image yields.
  int64_t MergedPatches(const ImagePatches& image) const {
    return image.patches() / (merge_size() * merge_size());
  }
};

}  // namespace palate::models
