// CLIP (https://arxiv.org/abs/2103.00020): a causal text tower and a vision transformer that meet
// in one space. Reads checkpoints of transformers' CLIPModel.
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
  // Marks the token whose state stands for the text: the first one with this id. 2, which early
  // configs hold by mistake, means the first token with the largest id instead.
  int64_t eos_token_id = 0;
};

struct ClipConfig {
  ClipTextConfig text;
  VitConfig vision;
  int64_t projection_dim = 0;

  // config.json of a CLIPModel. The files leave out of text_config and vision_config what equals
  // the reference's defaults, so those defaults stand for absent keys; "text_config_dict", where an
  // early file has it, replaces "text_config". InvalidArgument for wrong values, Unimplemented for
  // activations that are not supported.
  static absl::StatusOr<ClipConfig> FromJson(const JsonConfig& config);
};

// Immutable and thread-safe after Load. The methods run ATen operations and throw as they do;
// callers hold an InferenceMode.
class ClipModel {
 public:
  // Of `options` only dtype and device are used.
  static absl::StatusOr<std::shared_ptr<const ClipModel>> Load(const Checkpoint& checkpoint,
                                                               const LoadOptions& options = {});

  const ClipConfig& config() const { return config_; }
  // Of the space that texts and images share.
  int64_t dimensions() const { return config_.projection_dim; }
  // What cosine similarities are multiplied by to become logits.
  double logit_scale() const { return logit_scale_; }

  // `ids` is int64 [texts, length], padded on the right, length at most max_positions.
  // `attention_mask`, of the same shape, is 0 at padding; without it, padding attends to padding
  // (no other token ever sees it). Returns the states after the final norm: compute type, [texts,
  // length, hidden].
  at::Tensor TextStates(const at::Tensor& ids, const at::Tensor& attention_mask = {}) const;
  // Pooled and projected, not normalized: float32 [texts, dimensions]. Padding changes nothing.
  at::Tensor TextFeatures(const at::Tensor& ids, const at::Tensor& attention_mask = {}) const;

  // `pixels` is [images, channels, image_size, image_size]. Returns the last block's output, which
  // CLIP does not norm: [images, 1 + patches, hidden].
  at::Tensor ImageStates(const at::Tensor& pixels) const;
  // Class token, normed and projected, not normalized: float32 [images, dimensions].
  at::Tensor ImageFeatures(const at::Tensor& pixels) const;

  // Scaled cosine similarities of features (normalized or not): float32 [texts, images].
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
