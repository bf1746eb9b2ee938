// SigLIP (https://arxiv.org/abs/2303.15343) at a fixed resolution, and SigLIP 2 checkpoints of the
// same shape: a bidirectional text tower pooled at its last position, and a vision transformer
// pooled by one attention query. Reads checkpoints of transformers' SiglipModel.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto model, SiglipModel::Load(checkpoint));
//   PALATE_ASSIGN_OR_RETURN(const at::Tensor logits, CatchTorch([&] {
//     const c10::InferenceMode inference;
//     const at::Tensor ids = at::tensor(batch.ids, at::kLong).view({-1, batch.width});
//     return model->LogitsPerText(model->TextFeatures(ids), model->ImageFeatures(pixels));
//   }));
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/parameters.h"
#include "models/layers/encoder.h"

namespace palate::models {

struct SiglipTextConfig {
  EncoderConfig encoder;
  int64_t vocab_size = 0;
  int64_t max_positions = 0;
  int64_t projection_size = 0;
};

struct SiglipVisionConfig {
  EncoderConfig encoder;
  int64_t num_channels = 0;
  int64_t image_size = 0;  // pixels on each side
  int64_t patch_size = 0;  // pixels at the right and bottom beyond the last whole patch are ignored

  int64_t patches_per_side() const { return image_size / patch_size; }
};

struct SiglipConfig {
  SiglipTextConfig text;
  SiglipVisionConfig vision;

  // Reads config.json of a SiglipModel. Absent keys of text_config and vision_config get the
  // reference's defaults. InvalidArgument for wrong values; Unimplemented for activations that are
  // not supported and for a vision tower without its pooling head.
  static absl::StatusOr<SiglipConfig> FromJson(const JsonConfig& config);
};

// Immutable and thread-safe after Load. Throws as ATen does; callers hold an InferenceMode.
class SiglipModel {
 public:
  // Uses only dtype and device of `options`.
  static absl::StatusOr<std::shared_ptr<const SiglipModel>> Load(const Checkpoint& checkpoint,
                                                                 const LoadOptions& options = {});

  const SiglipConfig& config() const { return config_; }
  // Dimensions of the space that texts and images share.
  int64_t dimensions() const { return config_.text.projection_size; }
  // Cosine similarities times logit_scale, plus logit_bias, are the logits of a text fitting an
  // image.
  double logit_scale() const { return logit_scale_; }
  double logit_bias() const { return logit_bias_; }

  // `ids` is int64 [texts, length]. The model was trained on texts padded to max_positions and
  // attends to padding like any token, so texts of another length get different vectors. Returns
  // the states after the final norm: [texts, length, hidden].
  at::Tensor TextStates(const at::Tensor& ids) const;
  // The state of the last position, projected by the head, not normalized: float32 [texts,
  // dimensions].
  at::Tensor TextFeatures(const at::Tensor& ids) const;

  // `pixels` is [images, channels, image_size, image_size]. Returns the states after the final
  // norm: [images, patches, hidden].
  at::Tensor ImageStates(const at::Tensor& pixels) const;
  // Pooled, not normalized: float32 [images, hidden].
  at::Tensor ImageFeatures(const at::Tensor& pixels) const;

  // Logits of features, normalized or not: float32 [texts, images].
  at::Tensor LogitsPerText(const at::Tensor& text_features, const at::Tensor& image_features) const;

 private:
  // Pools with the attention of one learned query over all patches.
  struct PoolingHead {
    at::Tensor probe, in_weight, in_bias, out_weight, out_bias, norm_weight, norm_bias, fc1_weight,
        fc1_bias, fc2_weight, fc2_bias;
  };

  explicit SiglipModel(const SiglipConfig& config);
  ParameterList Parameters(at::Tensor& logit_scale, at::Tensor& logit_bias);
  at::Tensor Pool(const at::Tensor& states) const;

  const SiglipConfig config_;
  PreNormEncoder text_, vision_;
  at::Tensor words_, text_positions_, text_norm_weight_, text_norm_bias_, head_weight_, head_bias_;
  at::Tensor patch_weight_, patch_bias_, patch_positions_, vision_norm_weight_, vision_norm_bias_;
  PoolingHead pooling_;
  double logit_scale_ = 1.0;
  double logit_bias_ = 0.0;
};

}  // namespace palate::models
