// The shape of a Qwen3 decoder, as config.json says it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/checkpoint/config.h"
#include "nlohmann/json.hpp"

namespace palate::models {

// Rotary position embedding. Both spellings are read: "rope_parameters", and "rope_theta" with "rope_scaling".
struct RopeConfig {
  enum class Type { kDefault, kYarn };
  Type type = Type::kDefault;
  double theta = 10000.0;
  // YaRN only (https://arxiv.org/abs/2309.00071):
  double factor = 1.0;
  int64_t original_max_positions = 0;
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  double attention_factor = 1.0;  // multiplies cos and sin
  bool truncate = true;           // round the correction range to whole dimensions

  // Unimplemented naming the type when it is another one. `max_positions` is the model's own limit.
  static absl::StatusOr<RopeConfig> FromJson(const JsonConfig& config, int64_t max_positions);
};

// 1 / wavelength per pair of dimensions: [dim / 2].
std::vector<float> RopeInverseFrequencies(const RopeConfig& rope, int64_t dim);

struct Qwen3Config {
  int64_t vocab_size = 0;  // rows of the embedding; may exceed the tokenizer's
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
  RopeConfig rope;
  // Token ids; -1 when the config names none. Generation stops at any of `eos_token_ids`.
  int64_t bos_token_id = -1;
  int64_t pad_token_id = -1;
  std::vector<int64_t> eos_token_ids;

  // Missing or wrong keys are InvalidArgument; sliding windows, attention bias and activations other than silu are
  // Unimplemented.
  static absl::StatusOr<Qwen3Config> FromJson(const JsonConfig& config);
  // config.json in the current spelling.
  nlohmann::json ToJson() const;
  // InvalidArgument naming the field when the numbers do not fit each other.
  absl::Status Validate() const;
};

}  // namespace palate::models
