// config.json of a vision-language model: a decoder, a vision tower, and the placeholder that
// connects them.
#pragma once

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "models/checkpoint/json_config.h"
#include "models/decoder/decoder_config.h"
#include "nlohmann/json.hpp"

namespace palate::models {

struct VlConfig {
  DecoderConfig decoder;
  JsonConfig vision;  // "vision_config", with defaults for absent keys
  int64_t image_token_id = -1;
};

// The format of a family's file. The defaults are those of the reference's config classes, because
// transformers omits equal values in the nested parts.
struct VlFormat {
  absl::StatusOr<DecoderConfig> (*read_decoder)(const JsonConfig& config);
  nlohmann::json text_defaults;
  nlohmann::json vision_defaults;
  // The decoder's keys may be at the top level instead of in "text_config".
  bool text_may_be_flat = false;
  // Tied embeddings in the text part apply even if the top level disables them.
  bool text_decides_tying = false;
  std::array<int64_t, 3> mrope_section;  // used if the file has none
  // Fixed by the family, regardless of the file.
  bool mrope_interleaved = false;
};

// InvalidArgument naming a missing or wrong key, Unimplemented naming an unsupported value.
absl::StatusOr<VlConfig> ReadVlConfig(const JsonConfig& config, const VlFormat& format);

}  // namespace palate::models
