// Qwen2 and Qwen2.5 (https://arxiv.org/abs/2407.10671): biases on query, key and value, and sliding
// windows in the upper layers.
#pragma once

#include "absl/status/statusor.h"
#include "models/checkpoint/json_config.h"
#include "models/decoder/decoder_config.h"

namespace palate::models {

// Reads a Qwen2 config, or the text part of Qwen2.5-VL, flat or nested. InvalidArgument naming a
// missing or wrong key, Unimplemented naming an unsupported value.
absl::StatusOr<DecoderConfig> ReadQwen2Config(const JsonConfig& config);

}  // namespace palate::models
