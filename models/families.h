// The families that are dense decoders, and the reader of each one's config.json.
#pragma once

#include "absl/status/statusor.h"
#include "models/checkpoint/json_config.h"
#include "models/decoder/decoder_config.h"
#include "models/registry.h"

namespace palate::models {

// Whether DecoderModel alone computes this family (text only).
bool IsTextDecoder(ModelFamily family);

// Reads the config of any text decoder. Unimplemented naming the family when it is not one;
// otherwise errors as the family's reader.
absl::StatusOr<DecoderConfig> ReadDecoderConfig(const JsonConfig& config);

}  // namespace palate::models
