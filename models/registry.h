// Which family a model folder belongs to. An explicit table: a new family is one line in
// registry.cc.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/checkpoint/json_config.h"

namespace palate::models {

enum class ModelFamily {
  kBert,    // text encoder
  kVit,     // image encoder, also CLIP's image tower alone
  kClip,    // text and image towers
  kSiglip,  // the same; fixed resolution, SigLIP 2 included
  kQwen2,   // text decoders
  kQwen3,
  kLlama,
  kQwen25Vl,  // vision-language decoders
  kQwen3Vl,
};

absl::string_view ModelFamilyName(ModelFamily family);

// By "model_type" of config.json; where "architectures" is given it must be one that the family
// computes. Unimplemented naming the folder's values and listing what is supported.
absl::StatusOr<ModelFamily> FindModelFamily(const JsonConfig& config);

}  // namespace palate::models
