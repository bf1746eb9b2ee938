// config.json of Qwen3-VL.
#pragma once

#include "absl/status/statusor.h"
#include "models/checkpoint/json_config.h"
#include "models/families/qwen_vl/qwen_vl_config.h"

namespace palate::models {

// Errors as ReadVlConfig.
absl::StatusOr<VlConfig> ReadQwen3VlConfig(const JsonConfig& config);

}  // namespace palate::models
