#include "models/families/llama/llama_config.h"

#include "base/status.h"

namespace palate::models {

absl::StatusOr<DecoderConfig> ReadLlamaConfig(const JsonConfig& config) {
  const DecoderFormat format = {.derives_head_dim_when_absent = true,
                                .one_kv_head_per_head_when_absent = true,
                                .rope_theta_when_absent = 10000.0};
  PALATE_ASSIGN_OR_RETURN(DecoderConfig result, ReadDecoderBasics(config, format));

  PALATE_ASSIGN_OR_RETURN(const bool attention_bias, config.BoolOr("attention_bias", false));
  PALATE_ASSIGN_OR_RETURN(result.mlp_bias, config.BoolOr("mlp_bias", false));

  result.qkv_bias = attention_bias;
  result.o_bias = attention_bias;
  return result;
}

}  // namespace palate::models
