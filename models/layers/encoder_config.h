// Reads the tower configs of CLIP and SigLIP, which are nested in one config.json and omit keys
// with the reference's default values.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/checkpoint/json_config.h"
#include "models/layers/encoder.h"
#include "nlohmann/json.hpp"

namespace palate::models {

// Upper limits in a tower config: for vocabularies and token ids, and for every other size.
inline constexpr int64_t kMaxTowerVocabulary = 1 << 24;
inline constexpr int64_t kMaxTowerExtent = 1 << 16;

// The object under `key`, where absent and null keys get the values of `defaults`; only defaults
// when the object is absent. InvalidArgument when it is not an object.
absl::StatusOr<JsonConfig> NestedWithDefaults(const JsonConfig& config, absl::string_view key,
                                              const nlohmann::json& defaults);

// Reads hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, hidden_act and
// layer_norm_eps; all are required. InvalidArgument, or Unimplemented for the activation.
absl::StatusOr<EncoderConfig> ReadEncoderConfig(const JsonConfig& config);

}  // namespace palate::models
