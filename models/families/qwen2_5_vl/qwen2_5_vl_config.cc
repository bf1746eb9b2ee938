#include "models/families/qwen2_5_vl/qwen2_5_vl_config.h"

#include "models/families/qwen2/qwen2_config.h"

namespace palate::models {

absl::StatusOr<VlConfig> ReadQwen25VlConfig(const JsonConfig& config) {
  return ReadVlConfig(config, {.read_decoder = ReadQwen2Config,
                               .text_defaults = {{"vocab_size", 152064},
                                                 {"hidden_size", 8192},
                                                 {"intermediate_size", 29568},
                                                 {"num_hidden_layers", 80},
                                                 {"num_attention_heads", 64},
                                                 {"num_key_value_heads", 8},
                                                 {"hidden_act", "silu"},
                                                 {"max_position_embeddings", 32768},
                                                 {"rms_norm_eps", 1e-5},
                                                 {"rope_theta", 1e6},
                                                 {"sliding_window", 4096},
                                                 {"max_window_layers", 80},
                                                 {"bos_token_id", 151643},
                                                 {"eos_token_id", 151645}},
                               .vision_defaults = {{"depth", 32},
                                                   {"hidden_size", 3584},
                                                   {"hidden_act", "silu"},
                                                   {"intermediate_size", 3420},
                                                   {"num_heads", 16},
                                                   {"patch_size", 14},
                                                   {"spatial_merge_size", 2},
                                                   {"temporal_patch_size", 2},
                                                   {"window_size", 112},
                                                   {"out_hidden_size", 3584},
                                                   {"fullatt_block_indexes", {7, 15, 23, 31}}},
                               .text_may_be_flat = true,
                               .text_decides_tying = true,
                               .mrope_section = {16, 24, 24},
                               .mrope_interleaved = false});
}

}  // namespace palate::models
