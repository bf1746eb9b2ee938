// config.json of a vision-language model: a decoder, a vision tower, and the placeholder that joins
// them.
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
  JsonConfig vision;  // "vision_config", complete
  int64_t image_token_id = -1;
};

// How a family writes its file. The defaults are those of the reference's config classes:
// transformers saves the nested parts as differences to them, so published files lack keys there.
struct VlFormat {
  absl::StatusOr<DecoderConfig> (*read_decoder)(const JsonConfig& config);
  nlohmann::json text_defaults;
  nlohmann::json vision_defaults;
  // The decoder's keys may stand at the top instead of in "text_config".
  bool text_may_be_flat = false;
  // The text part's word on tied embeddings counts even when the top says otherwise.
  bool text_decides_tying = false;
  std::array<int64_t, 3> mrope_section;  // where the file leaves it out
  // Fixed by the family, whatever the file says.
  bool mrope_interleaved = false;
};

// InvalidArgument naming a missing or wrong key, Unimplemented naming what is not computed.
absl::StatusOr<VlConfig> ReadVlConfig(const JsonConfig& config, const VlFormat& format);

}  // namespace palate::models
