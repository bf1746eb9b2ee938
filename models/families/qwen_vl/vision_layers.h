// Shared by the vision towers of Qwen2.5-VL and Qwen3-VL: packing the patches of several images,
// two-dimensional rotary positions, and attention over segments of different lengths.
//
// Throws as ATen does. Tensors are on the tower's device; "patches" is the number of patches of all
// images.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/checkpoint/json_config.h"
#include "models/checkpoint/parameters.h"
#include "models/image/vl_processor.h"
#include "models/layers/activation.h"

namespace palate::models {

// Epsilon of the towers' normalizations. Not in the config: a constant of both architectures.
inline constexpr double kVisionNormEps = 1e-6;

// The shape of both towers. Sizes are at least 1; `num_heads` divides `hidden_size`.
struct VisionShape {
  int64_t depth = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_heads = 0;
  int64_t out_hidden_size = 0;  // the decoder's hidden size
  int64_t patch_size = 0;
  int64_t temporal_patch_size = 0;
  int64_t merge_size = 0;
  double rope_theta = 10000.0;
  Activation activation = Activation::kGelu;

  int64_t head_dim() const { return hidden_size / num_heads; }
  int64_t patch_values() const { return 3 * temporal_patch_size * patch_size * patch_size; }
  // Hidden values of one merge block.
  int64_t merged_size() const { return hidden_size * merge_size * merge_size; }

  // Reads a complete "vision_config". InvalidArgument naming a missing or wrong key, Unimplemented
  // naming an unsupported value.
  static absl::StatusOr<VisionShape> FromJson(const JsonConfig& vision_config);
};

// A linear layer with a bias.
struct BiasedLinear {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out]

  at::Tensor operator()(const at::Tensor& x) const;
  // Appends "<name>.weight" and "<name>.bias" to `list`.
  void List(const std::string& name, int64_t out, int64_t in, ParameterList& list);
};

// The row and column of each patch on its image's grid, in the order of ImagePatches (merge block
// by merge block): int64 [patches], on the CPU.
struct PatchGrid {
  at::Tensor rows;
  at::Tensor columns;
};
PatchGrid GridOf(absl::Span<const ImagePatches> images, int64_t merge_size);

// The patches of all images, converted to `dtype`: [patches, patch_values].
at::Tensor StackPatches(absl::Span<const ImagePatches> images, at::ScalarType dtype,
                        const at::Device& device);

// Rotary embedding by row (first half of the pairs) and column (second half), without scaling:
// float32 cos and sin [patches, 1, head_dim], to broadcast over heads.
struct PatchRotation {
  at::Tensor cos;
  at::Tensor sin;

  // x: [patches, heads, head_dim]. Computes in float32; returns the type of `x`.
  at::Tensor operator()(const at::Tensor& x) const;
  // The rotation of these patches in this order (int64 [n]).
  PatchRotation Select(const at::Tensor& order) const;
};
PatchRotation RotationOf(const PatchGrid& grid, int64_t head_dim, double theta,
                         const at::Device& device);

// Lengths of the segments between which full attention does not attend: every frame of every image.
std::vector<int64_t> FrameLengths(absl::Span<const ImagePatches> images);

// Attention within consecutive segments of these lengths, whose sum is `patches`. `qkv` is
// [patches, 3 * hidden] as the towers store it; returns [patches, hidden]. Builds no mask, so that
// memory grows with the patches, not with their square.
at::Tensor AttendSegments(const at::Tensor& qkv, const PatchRotation& rotate, int64_t num_heads,
                          const std::vector<int64_t>& lengths);

}  // namespace palate::models
