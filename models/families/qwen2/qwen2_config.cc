#include "models/families/qwen2/qwen2_config.h"

#include "base/status.h"

namespace palate::models {

absl::StatusOr<DecoderConfig> ReadQwen2Config(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(DecoderConfig result,
                          ReadDecoderBasics(config, {.derives_head_dim_when_absent = true}));
  PALATE_ASSIGN_OR_RETURN(result.sliding_windows, ReadSlidingWindows(config, result.num_layers));
  result.qkv_bias = true;
  return result;
}

}  // namespace palate::models
