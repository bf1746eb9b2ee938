#include "models/families/qwen3/qwen3_config.h"

#include "base/status.h"

namespace palate::models {

absl::StatusOr<DecoderConfig> ReadQwen3Config(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(DecoderConfig result, ReadDecoderBasics(config, {}));
  PALATE_ASSIGN_OR_RETURN(result.sliding_windows, ReadSlidingWindows(config, result.num_layers));
  PALATE_ASSIGN_OR_RETURN(const bool bias, config.BoolOr("attention_bias", false));
  result.qkv_bias = bias;
  result.o_bias = bias;
  result.qk_norm = true;
  return result;
}

}  // namespace palate::models
