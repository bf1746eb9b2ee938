#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/config_keys.h"
#include "models/families/vit/vit.h"
#include "models/layers/encoder_config.h"

namespace palate::models {
namespace {

absl::StatusOr<VitConfig::Layout> ReadLayout(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const std::string type, config.String("model_type"));
  const absl::string_view name = type;
  if (name == "clip_vision_model") return VitConfig::Layout::kClipVision;
  if (name == "vit") return VitConfig::Layout::kVit;
  return absl::UnimplementedError(
      absl::StrCat(config.source(), ": model_type \"", type,
                   "\" is not a vision transformer; supported are clip_vision_model and vit"));
}

bool HasArchitecture(const JsonConfig& config, absl::string_view name) {
  if (!config.Has("architectures")) return false;
  const nlohmann::json& list = config.json().at("architectures");
  return list.is_array() && std::find(list.begin(), list.end(), std::string(name)) != list.end();
}

}  // namespace

absl::StatusOr<VitConfig> VitConfig::FromJson(const JsonConfig& config) {
  PALATE_RETURN_IF_ERROR(RefuseUnsupportedKeys(config));

  VitConfig result;
  PALATE_ASSIGN_OR_RETURN(result.layout, ReadLayout(config));
  PALATE_ASSIGN_OR_RETURN(result.image_size, config.IntIn("image_size", 1, kMaxTowerExtent));
  PALATE_ASSIGN_OR_RETURN(result.patch_size, config.IntIn("patch_size", 1, kMaxTowerExtent));
  PALATE_ASSIGN_OR_RETURN(result.num_channels, config.IntIn("num_channels", 1, 16));

  PALATE_ASSIGN_OR_RETURN(const EncoderConfig encoder, ReadEncoderConfig(config));

  result.hidden_size = encoder.hidden_size;
  result.intermediate_size = encoder.intermediate_size;
  result.num_layers = encoder.num_layers;
  result.num_heads = encoder.num_heads;
  result.activation = encoder.activation;
  result.layer_norm_eps = encoder.layer_norm_eps;
  PALATE_ASSIGN_OR_RETURN(result.initializer_range,
                          config.DoubleOr("initializer_range", result.initializer_range));

  PALATE_ASSIGN_OR_RETURN(const bool qkv_bias, config.BoolOr("qkv_bias", true));
  if (!qkv_bias)
    return absl::UnimplementedError(
        absl::StrCat(config.source(), ": attention without qkv_bias is not supported"));

  if (HasArchitecture(config, "CLIPVisionModelWithProjection")) {
    PALATE_ASSIGN_OR_RETURN(result.projection_dim,
                            config.IntIn("projection_dim", 1, kMaxTowerExtent));
  }

  PALATE_RETURN_IF_ERROR(Annotate(result.Validate(), config.source()));
  return result;
}

EncoderConfig VitConfig::encoder() const {
  return {.hidden_size = hidden_size,
          .intermediate_size = intermediate_size,
          .num_layers = num_layers,
          .num_heads = num_heads,
          .activation = activation,
          .layer_norm_eps = layer_norm_eps,
          .initializer_range = initializer_range};
}

nlohmann::json VitConfig::ToJson() const {
  const bool clip = layout == Layout::kClipVision;
  nlohmann::json json = {
      {"model_type", clip ? "clip_vision_model" : "vit"},
      {"dtype", "float32"},
      {"attention_dropout", 0.0},
      {"hidden_act", std::string(ActivationName(activation))},
      {"hidden_size", hidden_size},
      {"image_size", image_size},
      {"initializer_range", initializer_range},
      {"intermediate_size", intermediate_size},
      {"layer_norm_eps", layer_norm_eps},
      {"num_attention_heads", num_heads},
      {"num_channels", num_channels},
      {"num_hidden_layers", num_layers},
      {"patch_size", patch_size},
  };

  if (!clip) {
    json["architectures"] = {"ViTModel"};
    json["qkv_bias"] = true;
    json["hidden_dropout_prob"] = 0.0;
    json["attention_probs_dropout_prob"] = 0.0;
    return json;
  }

  json["architectures"] = {projection_dim > 0 ? "CLIPVisionModelWithProjection"
                                              : "CLIPVisionModel"};
  json["initializer_factor"] = 1.0;
  if (projection_dim > 0) json["projection_dim"] = projection_dim;
  return json;
}

absl::Status VitConfig::Validate() const {
  if (image_size < 1 || patch_size < 1 || num_channels < 1 || hidden_size < 1 ||
      intermediate_size < 1 || num_layers < 1 || num_heads < 1) {
    return absl::InvalidArgumentError("vision transformer sizes must all be at least 1");
  }
  if (patch_size > image_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("patch_size (", patch_size, ") is above image_size (", image_size, ")"));
  }
  if (hidden_size % num_heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat("hidden_size (", hidden_size,
                                                   ") is not a multiple of num_attention_heads (",
                                                   num_heads, ")"));
  }
  if (layout == Layout::kVit && projection_dim != 0)
    return absl::InvalidArgumentError("the vit layout has no projection");
  if (!(layer_norm_eps > 0)) return absl::InvalidArgumentError("layer_norm_eps is not above 0");
  return absl::OkStatus();
}

}  // namespace palate::models
