// Finds the family of a model folder. The table in registry.cc has one line per architecture.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(folder));
//   PALATE_ASSIGN_OR_RETURN(const ModelFamily family, FindModelFamily(checkpoint.config()));
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/checkpoint/json_config.h"

namespace palate::models {

enum class ModelFamily {
  kBert,              // text encoder
  kVit,               // image encoder; also CLIP's image tower alone
  kEfficientNetLite,  // image encoder and classifier
  kClip,              // text and image towers
  kSiglip,            // text and image towers of fixed resolution; includes SigLIP 2
  kQwen2,             // text decoders
  kQwen3,
  kLlama,
  kQwen25Vl,  // vision-language decoders
  kQwen3Vl,
};

absl::string_view ModelFamilyName(ModelFamily family);

// The family of "model_type" in config.json. If "architectures" is present, it must name one that
// the family computes. Unimplemented naming the folder's values and listing what is supported.
absl::StatusOr<ModelFamily> FindModelFamily(const JsonConfig& config);

}  // namespace palate::models
