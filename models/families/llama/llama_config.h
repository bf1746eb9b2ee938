// Llama 1 to 3 (https://arxiv.org/abs/2407.21783), and what was published in its layout.
#pragma once

#include "absl/status/statusor.h"
#include "models/checkpoint/json_config.h"
#include "models/decoder/decoder_config.h"

namespace palate::models {

// InvalidArgument naming a missing or wrong key, Unimplemented naming what is not computed. Keys
// that the format gained after Llama 1 may be absent: num_key_value_heads (then one per query
// head), head_dim (then derived), rope_theta (then 10000), attention_bias and mlp_bias (then none).
absl::StatusOr<DecoderConfig> ReadLlamaConfig(const JsonConfig& config);

}  // namespace palate::models
