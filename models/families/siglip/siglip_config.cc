#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/config_keys.h"
#include "models/families/siglip/siglip.h"
#include "models/layers/encoder_config.h"

namespace palate::models {
namespace {

// The defaults of transformers' SiglipTextConfig and SiglipVisionConfig for absent keys.
nlohmann::json SiglipTextDefaults() {
  return {{"vocab_size", 32000},
          {"hidden_size", 768},
          {"intermediate_size", 3072},
          {"num_hidden_layers", 12},
          {"num_attention_heads", 12},
          {"max_position_embeddings", 64},
          {"hidden_act", "gelu_pytorch_tanh"},
          {"layer_norm_eps", 1e-6}};
}

nlohmann::json SiglipVisionDefaults() {
  return {{"hidden_size", 768},      {"intermediate_size", 3072},
          {"num_hidden_layers", 12}, {"num_attention_heads", 12},
          {"num_channels", 3},       {"image_size", 224},
          {"patch_size", 16},        {"hidden_act", "gelu_pytorch_tanh"},
          {"layer_norm_eps", 1e-6},  {"vision_use_head", true}};
}

absl::StatusOr<SiglipTextConfig> ReadSiglipText(const JsonConfig& config) {
  SiglipTextConfig result;
  PALATE_ASSIGN_OR_RETURN(result.encoder, ReadEncoderConfig(config));
  PALATE_ASSIGN_OR_RETURN(result.vocab_size, config.IntIn("vocab_size", 1, kMaxTowerVocabulary));
  PALATE_ASSIGN_OR_RETURN(result.max_positions,
                          config.IntIn("max_position_embeddings", 1, kMaxTowerExtent));

  result.projection_size = result.encoder.hidden_size;
  if (config.Has("projection_size")) {
    PALATE_ASSIGN_OR_RETURN(result.projection_size,
                            config.IntIn("projection_size", 1, kMaxTowerExtent));
  }
  return result;
}

absl::StatusOr<SiglipVisionConfig> ReadSiglipVision(const JsonConfig& config) {
  SiglipVisionConfig result;
  PALATE_ASSIGN_OR_RETURN(result.encoder, ReadEncoderConfig(config));
  PALATE_ASSIGN_OR_RETURN(result.num_channels, config.IntIn("num_channels", 1, 16));
  PALATE_ASSIGN_OR_RETURN(result.image_size, config.IntIn("image_size", 1, kMaxTowerExtent));
  PALATE_ASSIGN_OR_RETURN(result.patch_size, config.IntIn("patch_size", 1, result.image_size));

  PALATE_ASSIGN_OR_RETURN(const bool pooled, config.Bool("vision_use_head"));
  if (!pooled)
    return absl::UnimplementedError(absl::StrCat(
        config.source(), ": vision_use_head is false, so the model has no image vectors"));
  return result;
}

}  // namespace

absl::StatusOr<SiglipConfig> SiglipConfig::FromJson(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const std::string type, config.String("model_type"));
  if (type != "siglip")
    return absl::UnimplementedError(
        absl::StrCat(config.source(), ": model_type \"", type, "\" is not siglip"));
  PALATE_RETURN_IF_ERROR(RefuseUnsupportedKeys(config));

  SiglipConfig result;
  PALATE_ASSIGN_OR_RETURN(const JsonConfig text,
                          NestedWithDefaults(config, "text_config", SiglipTextDefaults()));
  PALATE_ASSIGN_OR_RETURN(result.text, ReadSiglipText(text));
  PALATE_ASSIGN_OR_RETURN(const JsonConfig vision,
                          NestedWithDefaults(config, "vision_config", SiglipVisionDefaults()));
  PALATE_ASSIGN_OR_RETURN(result.vision, ReadSiglipVision(vision));

  if (result.text.projection_size != result.vision.encoder.hidden_size) {
    return absl::InvalidArgumentError(
        absl::StrCat(config.source(), ": text vectors have ", result.text.projection_size,
                     " dimensions (projection_size), image vectors ",
                     result.vision.encoder.hidden_size, " (hidden_size of vision_config)"));
  }

  return result;
}

}  // namespace palate::models
