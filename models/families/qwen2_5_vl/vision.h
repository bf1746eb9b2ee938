// The vision tower of Qwen2.5-VL (https://arxiv.org/abs/2502.13923): a transformer over patches at
// the image's own resolution. Most layers attend within windows, a few attend to the whole image.
// After the last layer, blocks of patches are merged.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/parameters.h"
#include "models/families/qwen_vl/vision_layers.h"
#include "models/families/qwen_vl/vision_tower.h"

namespace palate::models {

struct Qwen25VisionConfig : VisionShape {
  int64_t window_size = 0;             // in pixels
  std::vector<bool> sees_whole_image;  // per layer: true if it attends to the whole image
  // Side of a window in merge blocks.
  int64_t window_blocks() const { return window_size / merge_size / patch_size; }

  // Reads a complete "vision_config". Errors as VisionShape::FromJson.
  static absl::StatusOr<Qwen25VisionConfig> FromJson(const JsonConfig& vision_config);
};

// The order of merge blocks in window layers: window by window. Windows at the right and lower
// edges may be smaller.
struct WindowOrder {
  std::vector<int64_t> blocks;   // a permutation of the merge blocks of all images
  std::vector<int64_t> lengths;  // number of patches in each window
};
WindowOrder WindowsOf(absl::Span<const ImagePatches> images, int64_t merge_size,
                      int64_t window_blocks);

// Immutable and thread-safe after Load.
class Qwen25VisionTower : public VisionTower {
 public:
  // `config` is a complete "vision_config". Errors as LoadParameters.
  static absl::StatusOr<std::shared_ptr<const Qwen25VisionTower>> Load(const Checkpoint& checkpoint,
                                                                       const JsonConfig& config,
                                                                       const LoadOptions& options);

  VisionFeatures Forward(absl::Span<const ImagePatches> images) const override;
  int64_t patch_values() const override { return config_.patch_values(); }
  int64_t merge_size() const override { return config_.merge_size; }
  int64_t out_hidden_size() const override { return config_.out_hidden_size; }
  const Qwen25VisionConfig& config() const { return config_; }

 private:
  struct Block {
    at::Tensor norm1, norm2;
    BiasedLinear qkv, proj, gate, up, down;
  };

  explicit Qwen25VisionTower(Qwen25VisionConfig config);
  ParameterList Parameters();
  at::Tensor RunBlock(const Block& block, const at::Tensor& x, const PatchRotation& rotate,
                      const std::vector<int64_t>& lengths) const;

  const Qwen25VisionConfig config_;
  at::Tensor patch_proj_;  // [hidden, 3, temporal_patch, patch, patch]
  std::vector<Block> blocks_;
  at::Tensor merger_norm_;
  BiasedLinear merger_in_, merger_out_;
};

}  // namespace palate::models
