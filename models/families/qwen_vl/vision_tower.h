// Interface that the vision tower of every family implements.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "models/image/vl_processor.h"

namespace palate::models {

// The outputs for some images, in order. `n` is the number of merged patches of all images.
struct VisionFeatures {
  // [n, decoder hidden]; replaces the embeddings of the image placeholders.
  at::Tensor embeddings;
  // Each [n, decoder hidden]; element i is added after decoder layer i at the placeholders. Often
  // empty.
  std::vector<at::Tensor> deepstack;
};

// Immutable and thread-safe after loading. Images are computed together, as sequences without
// padding; they do not influence each other.
class VisionTower {
 public:
  virtual ~VisionTower() = default;

  // The features in the compute type, on the tower's device. Throws as ATen does: serving code
  // wraps its calls in CatchTorch. REQUIRES: `images` is not empty; each image has at least one
  // patch, as many patches as its grid, and a grid whose sides are multiples of merge_size.
  virtual VisionFeatures Forward(absl::Span<const ImagePatches> images) const = 0;

  // Number of values in one patch: 3 * temporal_patch * patch * patch.
  virtual int64_t patch_values() const = 0;
  // Side of a merge block, in patches.
  virtual int64_t merge_size() const = 0;
  // Columns of the features: the decoder's hidden size.
  virtual int64_t out_hidden_size() const = 0;

  // Number of rows of `embeddings` for an image.
  int64_t MergedPatches(const ImagePatches& image) const {
    return image.patches() / (merge_size() * merge_size());
  }
};

}  // namespace palate::models
