// CLIP (https://arxiv.org/abs/2103.00020): a causal text tower and a vision transformer that share
// a vector space. Reads checkpoints of transformers' CLIPModel.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto model, ClipModel::Load(checkpoint));
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
#include "models/families/vit/vit.h"
#include "models/layers/encoder.h"

namespace palate::models {

struct ClipTextConfig {
  EncoderConfig encoder;
  int64_t vocab_size = 0;
  int64_t max_positions = 0;
  // The text's state is that of the first token with this id. The value 2, a mistake of early
  // configs, means the first token with the largest id instead.
  int64_t eos_token_id = 0;
};

struct ClipConfig {
  ClipTextConfig text;
  VitConfig vision;
  int64_t projection_dim = 0;

  // Reads config.json of a CLIPModel. Absent keys of text_config and vision_config get the
  // reference's defaults, because the files omit equal values. If an early file has
  // "text_config_dict", it replaces "text_config". InvalidArgument for wrong values, Unimplemented
  // for activations that are not supported.
  static absl::StatusOr<ClipConfig> FromJson(const JsonConfig& config);
};

// Immutable and thread-safe after Load. Throws as ATen does; callers hold an InferenceMode.
class ClipModel {
 public:
  // Uses only dtype and device of `options`.
  static absl::StatusOr<std::shared_ptr<const ClipModel>> Load(const Checkpoint& checkpoint,
                                                               const LoadOptions& options = {});

  const ClipConfig& config() const { return config_; }
  // Dimensions of the space that texts and images share.
  int64_t dimensions() const { return config_.projection_dim; }
  // Cosine similarities times this are the logits.
  double logit_scale() const { return logit_scale_; }

  // `ids` is int64 [texts, length], padded on the right; length is at most max_positions.
  // `attention_mask` has the same shape and is 0 at padding. Without it, padding attends to
  // padding, but no other token sees padding. Returns the states after the final norm: [texts,
  // length, hidden] in the compute type.
  at::Tensor TextStates(const at::Tensor& ids, const at::Tensor& attention_mask = {}) const;
  // Pooled and projected, not normalized: float32 [texts, dimensions]. Independent of padding.
  at::Tensor TextFeatures(const at::Tensor& ids, const at::Tensor& attention_mask = {}) const;

  // `pixels` is [images, channels, image_size, image_size]. Returns the output of the last block,
  // without a norm: [images, 1 + patches, hidden].
  at::Tensor ImageStates(const at::Tensor& pixels) const;
  // The class token, normed and projected, not normalized: float32 [images, dimensions].
  at::Tensor ImageFeatures(const at::Tensor& pixels) const;

  // Scaled cosine similarities of features, normalized or not: float32 [texts, images].
  at::Tensor LogitsPerText(const at::Tensor& text_features, const at::Tensor& image_features) const;

 private:
  explicit ClipModel(const ClipConfig& config);
  at::Tensor PooledPositions(const at::Tensor& ids) const;

  const ClipConfig config_;
  PreNormEncoder text_;
  at::Tensor words_, positions_, final_norm_weight_, final_norm_bias_, text_projection_;
  std::shared_ptr<const VitModel> vision_;
  double logit_scale_ = 1.0;
};

}  // namespace palate::models
