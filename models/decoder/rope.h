// Rotary position embedding: its parameters in config.json and its frequencies.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/checkpoint/json_config.h"
#include "nlohmann/json.hpp"

namespace palate::models {

// Reads both spellings: "rope_parameters", and "rope_theta" with "rope_scaling".
struct RopeConfig {
  enum class Type {
    kDefault,
    kLinear,   // stretches every wavelength by `factor`
    kDynamic,  // equals the default up to max_positions, a limit that callers enforce
    kYarn,     // https://arxiv.org/abs/2309.00071
    kLlama3,   // https://arxiv.org/abs/2407.21783
  };
  Type type = Type::kDefault;
  double theta = 10000.0;
  double factor = 1.0;  // all types but the default
  // YaRN and Llama 3: the context length of training, before it was stretched.
  int64_t original_max_positions = 0;
  // YaRN only:
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  double attention_factor = 1.0;  // multiplies cos and sin
  bool truncate = true;           // rounds the correction range to whole dimensions
  // Llama 3 only:
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  // Three positions per token (temporal, height, width), each of which rotates this many pairs of
  // dimensions; empty for one position per token. The three have consecutive blocks of pairs, or
  // take turns if `mrope_interleaved`.
  std::vector<int64_t> mrope_section;
  bool mrope_interleaved = false;

  // `theta_when_absent` is for formats that were published before the key existed; 0 makes its
  // absence an error. `max_positions` is the model's limit. Unimplemented naming a type that is not
  // listed above.
  static absl::StatusOr<RopeConfig> FromJson(const JsonConfig& config, int64_t max_positions,
                                             double theta_when_absent = 0.0);
  // "rope_parameters" in the current spelling.
  nlohmann::json ToJson() const;
  // Which of the three positions rotates each pair of dimensions: [dim / 2] of 0, 1 or 2; all 0
  // without sections.
  std::vector<int64_t> AxisOfPair(int64_t dim) const;
};

// 1 / wavelength per pair of dimensions: [dim / 2].
std::vector<float> RopeInverseFrequencies(const RopeConfig& rope, int64_t dim);

}  // namespace palate::models
