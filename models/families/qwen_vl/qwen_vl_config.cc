#include "models/families/qwen_vl/qwen_vl_config.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/config_keys.h"

namespace palate::models {
namespace {

// `config` with the values of `defaults` for absent keys.
JsonConfig WithDefaults(const JsonConfig& config, const nlohmann::json& defaults) {
  nlohmann::json complete = config.json();
  for (const auto& [key, value] : defaults.items()) {
    if (!config.Has(key)) complete[key] = value;
  }
  return JsonConfig(std::move(complete), config.source());
}

// The nested text part with defaults, and with the setting for tied embeddings.
absl::StatusOr<JsonConfig> NestedText(const JsonConfig& config, const VlFormat& format) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig text, config.Object("text_config"));
  PALATE_ASSIGN_OR_RETURN(const bool tied_below, text.BoolOr("tie_word_embeddings", false));
  PALATE_ASSIGN_OR_RETURN(const bool tied, config.BoolOr("tie_word_embeddings", tied_below));

  nlohmann::json complete = WithDefaults(text, format.text_defaults).json();
  complete["tie_word_embeddings"] = tied || (format.text_decides_tying && tied_below);
  return JsonConfig(std::move(complete), config.source());
}

}  // namespace

absl::StatusOr<VlConfig> ReadVlConfig(const JsonConfig& config, const VlFormat& format) {
  PALATE_RETURN_IF_ERROR(RefuseUnsupportedKeys(config));

  const bool flat = format.text_may_be_flat && !config.Has("text_config");
  PALATE_ASSIGN_OR_RETURN(const JsonConfig text,
                          flat ? absl::StatusOr<JsonConfig>(config) : NestedText(config, format));
  PALATE_ASSIGN_OR_RETURN(DecoderConfig decoder, format.read_decoder(text));

  if (decoder.rope.mrope_section.empty())
    decoder.rope.mrope_section.assign(format.mrope_section.begin(), format.mrope_section.end());
  decoder.rope.mrope_interleaved = format.mrope_interleaved;

  PALATE_RETURN_IF_ERROR(Annotate(decoder.Validate(), config.source()));
  PALATE_ASSIGN_OR_RETURN(const JsonConfig vision, config.Object("vision_config"));
  PALATE_ASSIGN_OR_RETURN(const int64_t image_token_id,
                          config.IntIn("image_token_id", 0, decoder.vocab_size - 1));

  return VlConfig{.decoder = std::move(decoder),
                  .vision = WithDefaults(vision, format.vision_defaults),
                  .image_token_id = image_token_id};
}

}  // namespace palate::models
