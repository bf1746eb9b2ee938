// The shape of a dense decoder: grouped-query attention with rotary positions and a gated SiLU
// feed-forward.
//
// One struct describes all families; the <family>_config.h of qwen2, qwen3 and llama read it from
// config.json.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/checkpoint/json_config.h"
#include "models/decoder/rope.h"
#include "nlohmann/json.hpp"

namespace palate::models {

struct DecoderConfig {
  int64_t vocab_size = 0;  // rows of the embedding; may exceed the tokenizer's vocabulary
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;  // divides num_heads
  int64_t head_dim = 0;
  int64_t max_positions = 0;
  double rms_norm_eps = 1e-6;
  double initializer_range = 0.02;
  bool tie_word_embeddings = true;
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;  // of gate, up and down
  bool qk_norm = false;   // queries and keys are normalized per head
  // Per layer: the number of tokens that a token sees, including itself; 0 means all. Empty when no
  // layer has a window.
  std::vector<int64_t> sliding_windows;
  RopeConfig rope;
  // Token ids; -1 when the config has none. Generation stops at each of `eos_token_ids`.
  int64_t bos_token_id = -1;
  int64_t pad_token_id = -1;
  std::vector<int64_t> eos_token_ids;

  // The window of one layer; 0 when it sees all tokens.
  int64_t WindowOf(size_t layer) const {
    return sliding_windows.empty() ? 0 : sliding_windows[layer];
  }
  // config.json of the family with these parts: Qwen3 with qk_norm, Qwen2 with biases on query, key
  // and value only, Llama otherwise. Unimplemented when no family has this combination.
  absl::StatusOr<nlohmann::json> ToJson() const;
  // InvalidArgument naming the field when the numbers are inconsistent.
  absl::Status Validate() const;
};

// The keys that a family's format allows to be absent.
struct DecoderFormat {
  bool derives_head_dim_when_absent = false;      // hidden_size / num_attention_heads
  bool one_kv_head_per_head_when_absent = false;  // num_key_value_heads
  double rope_theta_when_absent = 0.0;            // 0: an error
};

// Reads the keys that all families share: sizes, norm, activation, rotary positions, token ids.
// InvalidArgument naming a missing or wrong key; Unimplemented naming an unsupported activation,
// rope type, attention or quantization.
absl::StatusOr<DecoderConfig> ReadDecoderBasics(const JsonConfig& config,
                                                const DecoderFormat& format);

// The windows per layer in Qwen configs, from use_sliding_window, sliding_window, max_window_layers
// and layer_types. Empty when no layer has one. Errors as above.
absl::StatusOr<std::vector<int64_t>> ReadSlidingWindows(const JsonConfig& config,
                                                        int64_t num_layers);

}  // namespace palate::models
