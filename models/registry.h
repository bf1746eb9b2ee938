// Which family a model folder belongs to. An explicit table: a new family is one line in registry.cc.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/checkpoint/config.h"

namespace palate::models {

enum class ModelFamily { kBert, kVit, kQwen3 };

absl::string_view ModelFamilyName(ModelFamily family);

// By "model_type" of config.json; where "architectures" is given it must be one that the family computes. Unimplemented
// naming the folder's values and listing what is supported.
absl::StatusOr<ModelFamily> FindModelFamily(const JsonConfig& config);

}  // namespace palate::models
