// The vision tower of Qwen3-VL (https://arxiv.org/abs/2511.21631): a transformer over patches at
// the image's own resolution. Its learned position table is interpolated to the image's grid, and
// the outputs of some layers are added to the decoder's first layers (DeepStack,
// https://arxiv.org/abs/2406.04334).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/parameters.h"
#include "models/families/qwen_vl/vision_layers.h"
#include "models/families/qwen_vl/vision_tower.h"

namespace palate::models {

struct Qwen3VisionConfig : VisionShape {
  int64_t num_positions = 0;              // rows of the position table
  std::vector<int64_t> deepstack_layers;  // the layers whose outputs go to the decoder, in the
                                          // order of their mergers

  // Side of the table's square grid.
  int64_t table_side() const;

  // Reads a complete "vision_config". Errors as VisionShape::FromJson.
  static absl::StatusOr<Qwen3VisionConfig> FromJson(const JsonConfig& vision_config);
};

// Immutable and thread-safe after Load.
class Qwen3VisionTower : public VisionTower {
 public:
  // `config` is a complete "vision_config". Errors as LoadParameters.
  static absl::StatusOr<std::shared_ptr<const Qwen3VisionTower>> Load(const Checkpoint& checkpoint,
                                                                      const JsonConfig& config,
                                                                      const LoadOptions& options);

  VisionFeatures Forward(absl::Span<const ImagePatches> images) const override;
  int64_t patch_values() const override { return config_.patch_values(); }
  int64_t merge_size() const override { return config_.merge_size; }
  int64_t out_hidden_size() const override { return config_.out_hidden_size; }
  const Qwen3VisionConfig& config() const { return config_; }

 private:
  struct Norm {
    at::Tensor weight, bias;
  };
  struct Block {
    Norm norm1, norm2;
    BiasedLinear qkv, proj, fc1, fc2;
  };
  // Merges a block of patches into one row for the decoder. Normalizes the patches or the merged
  // block.
  struct Merger {
    Norm norm;
    BiasedLinear fc1, fc2;
    bool norm_after_merge = false;
  };

  explicit Qwen3VisionTower(Qwen3VisionConfig config);
  ParameterList Parameters();
  void ListMerger(const std::string& name, Merger& merger, ParameterList& list) const;
  // The table's rows, interpolated to each patch's position: [patches, hidden].
  at::Tensor Positions(absl::Span<const ImagePatches> images, const PatchGrid& grid) const;
  at::Tensor RunBlock(const Block& block, const at::Tensor& x, const PatchRotation& rotate,
                      const std::vector<int64_t>& lengths) const;
  at::Tensor Merge(const Merger& merger, const at::Tensor& x) const;

  const Qwen3VisionConfig config_;
  at::Tensor patch_proj_;  // [hidden, 3, temporal_patch, patch, patch]
  at::Tensor patch_bias_;
  at::Tensor positions_;  // [num_positions, hidden]
  std::vector<Block> blocks_;
  Merger merger_;
  std::vector<Merger> deepstack_mergers_;
};

}  // namespace palate::models
