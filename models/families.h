// Which families are dense decoders, and how each one's config.json is read: one table.
#pragma once

#include "absl/status/statusor.h"
#include "models/checkpoint/json_config.h"
#include "models/decoder/decoder_config.h"
#include "models/registry.h"

namespace palate::models {

// Whether DecoderModel computes this family by itself (text only).
bool IsTextDecoder(ModelFamily family);

// By the family of the folder. Unimplemented naming the family when it is no text decoder; other
// errors as the family's reader gives.
absl::StatusOr<DecoderConfig> ReadDecoderConfig(const JsonConfig& config);

}  // namespace palate::models
