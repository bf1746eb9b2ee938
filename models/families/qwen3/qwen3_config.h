// Dense Qwen3 (https://arxiv.org/abs/2505.09388): queries and keys are normalized per head.
#pragma once

#include "absl/status/statusor.h"
#include "models/checkpoint/json_config.h"
#include "models/decoder/decoder_config.h"

namespace palate::models {

// Reads a Qwen3 config, or the text part of Qwen3-VL. InvalidArgument naming a missing or wrong
// key, Unimplemented naming an unsupported value.
absl::StatusOr<DecoderConfig> ReadQwen3Config(const JsonConfig& config);

}  // namespace palate::models
