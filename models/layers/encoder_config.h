// Reading the tower configs of CLIP and SigLIP, which are nested in one config.json and leave out
// what equals the reference's defaults.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/checkpoint/json_config.h"
#include "models/layers/encoder.h"
#include "nlohmann/json.hpp"

namespace palate::models {

// What a tower config may hold at most: vocabularies and token ids; every other size.
inline constexpr int64_t kMaxTowerVocabulary = 1 << 24;
inline constexpr int64_t kMaxTowerExtent = 1 << 16;

// The object under `key`, with `defaults` for what is absent or null; all defaults when the object
// itself is absent. InvalidArgument when it is no object.
absl::StatusOr<JsonConfig> NestedWithDefaults(const JsonConfig& config, absl::string_view key,
                                              const nlohmann::json& defaults);

// hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, hidden_act and
// layer_norm_eps; every key must be there. InvalidArgument, or Unimplemented for the activation.
absl::StatusOr<EncoderConfig> ReadEncoderConfig(const JsonConfig& config);

}  // namespace palate::models
