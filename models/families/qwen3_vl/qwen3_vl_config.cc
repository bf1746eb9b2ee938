#include "models/families/qwen3_vl/qwen3_vl_config.h"

#include "models/families/qwen3/qwen3_config.h"

namespace palate::models {

absl::StatusOr<VlConfig> ReadQwen3VlConfig(const JsonConfig& config) {
  return ReadVlConfig(config, {.read_decoder = ReadQwen3Config,
                               .text_defaults = {{"vocab_size", 151936},
                                                 {"hidden_size", 4096},
                                                 {"intermediate_size", 22016},
                                                 {"num_hidden_layers", 32},
                                                 {"num_attention_heads", 32},
                                                 {"num_key_value_heads", 32},
                                                 {"head_dim", 128},
                                                 {"hidden_act", "silu"},
                                                 {"max_position_embeddings", 128000},
                                                 {"rms_norm_eps", 1e-6},
                                                 {"rope_theta", 5e5}},
                               .vision_defaults = {{"depth", 27},
                                                   {"hidden_size", 1152},
                                                   {"hidden_act", "gelu_pytorch_tanh"},
                                                   {"intermediate_size", 4304},
                                                   {"num_heads", 16},
                                                   {"patch_size", 16},
                                                   {"spatial_merge_size", 2},
                                                   {"temporal_patch_size", 2},
                                                   {"out_hidden_size", 3584},
                                                   {"num_position_embeddings", 2304},
                                                   {"deepstack_visual_indexes", {8, 16, 24}}},
                               .text_may_be_flat = false,
                               .text_decides_tying = false,
                               .mrope_section = {24, 20, 20},
                               .mrope_interleaved = true});
}

}  // namespace palate::models
