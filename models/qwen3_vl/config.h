// config.json of Qwen3-VL.
#pragma once

#include "absl/status/statusor.h"
#include "models/checkpoint/config.h"
#include "models/qwen_vl/config.h"

namespace palate::models {

// Errors as ReadVlConfig gives them.
absl::StatusOr<VlConfig> ReadQwen3VlConfig(const JsonConfig& config);

}  // namespace palate::models
