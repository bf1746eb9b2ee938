// Llama 1 to 3 (https://arxiv.org/abs/2407.21783), and other models in their layout.
#pragma once

#include "absl/status/statusor.h"
#include "models/checkpoint/json_config.h"
#include "models/decoder/decoder_config.h"

namespace palate::models {

// Reads a Llama config. Keys that the format gained after Llama 1 may be absent:
// num_key_value_heads (one per query head), head_dim (derived), rope_theta (10000), attention_bias
// and mlp_bias (false). InvalidArgument naming a missing or wrong key, Unimplemented naming an
// unsupported value.
absl::StatusOr<DecoderConfig> ReadLlamaConfig(const JsonConfig& config);

}  // namespace palate::models
