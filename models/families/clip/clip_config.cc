#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/config_keys.h"
#include "models/families/clip/clip.h"
#include "models/layers/encoder_config.h"

namespace palate::models {
namespace {

// The defaults of transformers' CLIPTextConfig and CLIPVisionConfig for absent keys.
nlohmann::json ClipTextDefaults() {
  return {{"vocab_size", 49408},        {"hidden_size", 512},       {"intermediate_size", 2048},
          {"num_hidden_layers", 12},    {"num_attention_heads", 8}, {"max_position_embeddings", 77},
          {"hidden_act", "quick_gelu"}, {"layer_norm_eps", 1e-5},   {"eos_token_id", 49407}};
}

nlohmann::json ClipVisionDefaults() {
  return {{"model_type", "clip_vision_model"},
          {"hidden_size", 768},
          {"intermediate_size", 3072},
          {"num_hidden_layers", 12},
          {"num_attention_heads", 12},
          {"num_channels", 3},
          {"image_size", 224},
          {"patch_size", 32},
          {"hidden_act", "quick_gelu"},
          {"layer_norm_eps", 1e-5}};
}

// "text_config" or "vision_config", or the same with "_dict" if the file has it.
absl::StatusOr<JsonConfig> Tower(const JsonConfig& config, const std::string& key,
                                 const nlohmann::json& defaults) {
  const std::string early = absl::StrCat(key, "_dict");
  return NestedWithDefaults(config, config.Has(early) ? early : key, defaults);
}

absl::StatusOr<ClipTextConfig> ReadClipText(const JsonConfig& config) {
  ClipTextConfig result;
  PALATE_ASSIGN_OR_RETURN(result.encoder, ReadEncoderConfig(config));
  PALATE_ASSIGN_OR_RETURN(result.vocab_size, config.IntIn("vocab_size", 1, kMaxTowerVocabulary));
  PALATE_ASSIGN_OR_RETURN(result.max_positions,
                          config.IntIn("max_position_embeddings", 1, kMaxTowerExtent));
  PALATE_ASSIGN_OR_RETURN(result.eos_token_id,
                          config.IntIn("eos_token_id", 0, kMaxTowerVocabulary));
  return result;
}

}  // namespace

absl::StatusOr<ClipConfig> ClipConfig::FromJson(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const std::string type, config.String("model_type"));
  if (type != "clip")
    return absl::UnimplementedError(
        absl::StrCat(config.source(), ": model_type \"", type, "\" is not clip"));
  PALATE_RETURN_IF_ERROR(RefuseUnsupportedKeys(config));

  ClipConfig result;
  PALATE_ASSIGN_OR_RETURN(const JsonConfig text, Tower(config, "text_config", ClipTextDefaults()));
  PALATE_ASSIGN_OR_RETURN(result.text, ReadClipText(text));
  PALATE_ASSIGN_OR_RETURN(JsonConfig vision, Tower(config, "vision_config", ClipVisionDefaults()));
  PALATE_ASSIGN_OR_RETURN(result.vision, VitConfig::FromJson(vision));

  PALATE_ASSIGN_OR_RETURN(result.projection_dim, config.IntOr("projection_dim", 512));
  if (result.projection_dim < 1 || result.projection_dim > kMaxTowerExtent) {
    return absl::InvalidArgumentError(absl::StrCat(config.source(), ": projection_dim ",
                                                   result.projection_dim, " is out of range"));
  }
  result.vision.projection_dim = result.projection_dim;

  return result;
}

}  // namespace palate::models
