// Vision transformers (https://arxiv.org/abs/2010.11929) in two Hugging Face layouts:
// "clip_vision_model" (CLIPVisionModelWithProjection, with a norm before the blocks and a
// projection after the pooling) and "vit" (ViTModel). They differ only in names and in these two
// parts.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto model, VitModel::Load(checkpoint));
//   PALATE_ASSIGN_OR_RETURN(const at::Tensor vectors, CatchTorch([&] {
//     const c10::InferenceMode inference;
//     return model->Embed(pixels);
//   }));
//
// One implementation serves and trains, like models/decoder/decoder.h. Forward and Embed throw as
// ATen does.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/parameters.h"
#include "models/layers/encoder.h"
#include "nlohmann/json.hpp"

namespace palate::models {

struct VitConfig {
  enum class Layout { kClipVision, kVit };
  using Activation = models::Activation;

  Layout layout = Layout::kClipVision;
  int64_t image_size = 0;  // pixels on each side; those beyond the last whole patch are ignored
  int64_t patch_size = 0;
  int64_t num_channels = 3;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t projection_dim = 0;  // kClipVision only; 0 means no projection
  Activation activation = Activation::kQuickGelu;
  double layer_norm_eps = 1e-5;
  double initializer_range = 0.02;

  int64_t num_patches() const { return (image_size / patch_size) * (image_size / patch_size); }
  int64_t output_dim() const { return projection_dim > 0 ? projection_dim : hidden_size; }
  EncoderConfig encoder() const;

  // Reads config.json of either layout. InvalidArgument for missing or wrong keys, Unimplemented
  // for another model_type or activation.
  static absl::StatusOr<VitConfig> FromJson(const JsonConfig& config);
  nlohmann::json ToJson() const;
  absl::Status Validate() const;
};

enum class VitPooling { kCls, kMean };  // kMean averages the patches, without the class token

// Thread-safe for inference after creation.
class VitModel {
 public:
  // Uses only dtype and device of `options`.
  static absl::StatusOr<std::shared_ptr<const VitModel>> Load(const Checkpoint& checkpoint,
                                                              const LoadOptions& options = {});
  static absl::StatusOr<std::unique_ptr<VitModel>> CreateRandom(const VitConfig& config,
                                                                uint64_t seed);
  // Loads the vision tower inside a checkpoint of another kind, such as a whole CLIP. Its tensors
  // have the names of the layout; tensors that start with one of `ignored_prefixes` belong to other
  // parts.
  static absl::StatusOr<std::shared_ptr<const VitModel>> LoadTower(
      const Checkpoint& checkpoint, const VitConfig& config,
      const std::vector<std::string>& ignored_prefixes, const LoadOptions& options = {});

  const VitConfig& config() const { return config_; }

  // `pixels` is [batch, channels, image_size, image_size]; it is converted to the model's device
  // and type. Returns the output of the last block, before the final norm for kClipVision and after
  // it for kVit (the reference's last_hidden_state): [batch, 1 + patches, hidden].
  at::Tensor Forward(const at::Tensor& pixels) const;
  // Pooled, normed and projected, not normalized to unit length: float32 [batch, output_dim].
  at::Tensor Embed(const at::Tensor& pixels, VitPooling pooling = VitPooling::kCls) const;

  // The parameters; the list points into this model. REQUIRES: the model was created or loaded for
  // training.
  ParameterList Parameters();
  // Writes config.json and model.safetensors, and creates the folder if it is absent.
  // preprocessor_config.json is ImageProcessorConfig::ToJson.
  absl::Status Save(const std::string& folder);

 private:
  VitModel(const VitConfig& config, EncoderNames names);
  static absl::StatusOr<std::unique_ptr<VitModel>> LoadImpl(
      const Checkpoint& checkpoint, const VitConfig& config,
      const std::vector<std::string>& ignored_prefixes, LoadOptions options);

  const VitConfig config_;
  at::Tensor class_token_;   // kClipVision: [hidden]; kVit: [1, 1, hidden]
  at::Tensor patch_weight_;  // [hidden, channels, patch, patch]
  at::Tensor patch_bias_;    // [hidden]; kVit only
  at::Tensor positions_;     // kClipVision: [1 + patches, hidden]; kVit: [1, 1 + patches, hidden]
  at::Tensor pre_norm_weight_, pre_norm_bias_;  // kClipVision only
  PreNormEncoder blocks_;
  at::Tensor post_norm_weight_, post_norm_bias_;
  at::Tensor projection_;  // [projection_dim, hidden]
};

}  // namespace palate::models
