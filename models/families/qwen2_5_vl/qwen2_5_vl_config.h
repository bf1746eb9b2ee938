// config.json of Qwen2.5-VL: flat as published, or nested as later versions of transformers save
// it.
#pragma once

#include "absl/status/statusor.h"
#include "models/checkpoint/json_config.h"
#include "models/families/qwen_vl/qwen_vl_config.h"

namespace palate::models {

// Errors as ReadVlConfig.
absl::StatusOr<VlConfig> ReadQwen25VlConfig(const JsonConfig& config);

}  // namespace palate::models
