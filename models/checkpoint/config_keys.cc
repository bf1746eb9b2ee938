#include "models/checkpoint/config_keys.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace palate::models {
namespace {

// A key that changes numbers, and the value besides "off" with which it does not: 0 for none.
struct RefusedKey {
  absl::string_view name;
  double neutral = 0;
};
constexpr RefusedKey kRefused[] = {
    // Logits of attention or output that are squashed, clipped or scaled.
    {"attention_logit_softcapping"},
    {"attention_multiplier"},
    {"attention_softcap"},
    {"attn_logit_softcap"},
    {"attn_logit_softcapping"},
    {"attn_temperature_tuning"},
    {"clip_qkv"},
    {"final_logit_softcap"},
    {"final_logit_softcapping"},
    {"logit_scale", 1},
    {"logit_softcap"},
    {"logit_softcapping"},
    {"logits_scaling", 1},
    {"logits_soft_cap"},
    {"query_pre_attn_scalar"},
    {"reorder_and_upcast_attn"},
    {"scale_attn_by_inverse_layer_idx"},
    {"use_logn_attn"},
    // Positions.
    {"alibi"},
    {"no_rope_layer_interval"},
    {"relative_attention"},
    {"rope_interleave"},
    {"rope_interleaved"},
    {"rope_local_base_freq"},
    {"rope_local_theta"},
    {"rotary_dim"},
    {"rotary_emb_fraction"},
    {"rotary_emb_interleaved"},
    {"rotary_pct", 1},
    {"rotary_percent", 1},
    {"rotary_scaling_factor", 1},
    {"use_alibi"},
    {"use_dynamic_ntk"},
    {"use_relative_position_bias"},
    {"use_rel_pos"},
    // Which tokens see each other.
    {"attention_chunk_size"},
    {"attention_window"},
    {"global_attn_every_n_layers"},
    {"is_encoder_decoder"},
    {"local_attention"},
    {"sliding_window_pattern"},
    // The path through the layers.
    {"apply_residual_connection_post_layernorm"},
    {"embedding_multiplier", 1},
    {"embedding_scale", 1},
    {"kv_lora_rank"},
    {"n_routed_experts"},
    {"num_experts"},
    {"num_local_experts"},
    {"parallel_attn"},
    {"parallel_residual"},
    {"prenorm"},
    {"pruned_heads"},
    {"q_lora_rank"},
    {"qk_layernorm"},
    {"residual_multiplier", 1},
    {"scale_depth"},
    {"scale_emb", 1},
    {"scale_embedding"},
    {"se_ratio"},
    {"squeeze_expansion_ratio"},
    {"use_parallel_residual"},
    {"use_qk_norm"},
    // Weights that are not what they seem.
    {"compression_config"},
    {"quantization"},
    {"quantization_config"},
};

// The groups of families that read a key.
using Readers = uint8_t;
constexpr Readers kDecoder = 1;  // every decoder, also within a vision-language model
constexpr Readers kQwen = 2;     // decoders with windows
constexpr Readers kVl = 4;
constexpr Readers kBert = 8;
constexpr Readers kTower = 16;        // CLIP, SigLIP and vision transformers
constexpr Readers kConvolution = 32;  // EfficientNet-Lite
constexpr Readers kAll = 255;

struct ReadKey {
  absl::string_view name;
  Readers readers;
};
constexpr ReadKey kRead[] = {
    {"architectures", kAll},
    {"hidden_act", kAll},
    {"hidden_size", kAll},
    {"initializer_range", kAll},
    {"intermediate_size", kAll},
    {"max_position_embeddings", kAll},
    {"model_type", kAll},
    {"num_attention_heads", kAll},
    {"num_hidden_layers", kAll},
    {"tie_word_embeddings", kAll},
    {"vocab_size", kAll},
    {"bos_token_id", kAll},
    {"eos_token_id", kAll},
    {"pad_token_id", kAll},
    // Decoders.
    {"attention_bias", kDecoder},
    {"head_dim", kDecoder},
    {"bidirectional", kDecoder},
    {"bidirectional_attention", kDecoder},
    {"causal", kDecoder},
    {"is_causal", kDecoder | kBert},
    {"mlp_bias", kDecoder},
    {"num_key_value_heads", kDecoder},
    {"original_max_position_embeddings", kDecoder},
    {"partial_rotary_factor", kDecoder},
    {"position_embedding_type", kDecoder | kBert},
    {"rms_norm_eps", kDecoder},
    {"rope_parameters", kDecoder},
    {"rope_scaling", kDecoder},
    {"rope_theta", kDecoder},
    {"layer_types", kQwen},
    {"max_window_layers", kQwen},
    {"sliding_window", kQwen},
    {"use_bidirectional_attention", kDecoder},
    {"use_bidirectional_attn", kDecoder},
    {"use_sliding_window", kQwen},
    // Encoders and towers.
    {"add_cross_attention", kBert},
    {"is_decoder", kBert},
    {"layer_norm_eps", kBert | kTower},
    {"type_vocab_size", kBert},
    {"batch_norm_eps", kConvolution},
    {"depth_coefficient", kConvolution},
    {"image_size", kTower | kConvolution},
    {"num_channels", kTower | kConvolution},
    {"patch_size", kTower | kVl},
    {"projection_dim", kTower},
    {"projection_size", kTower},
    {"qkv_bias", kTower},
    {"text_config", kTower | kVl},
    {"text_config_dict", kTower},
    {"vision_config", kTower | kVl},
    {"vision_config_dict", kTower},
    {"variant", kConvolution},
    {"vision_use_head", kTower},
    {"width_coefficient", kConvolution},
    // Vision-language models.
    {"deepstack_visual_indexes", kVl},
    {"depth", kVl},
    {"fullatt_block_indexes", kVl},
    {"image_token_id", kVl},
    {"in_channels", kVl},
    {"num_heads", kVl},
    {"num_position_embeddings", kVl},
    {"out_hidden_size", kVl},
    {"spatial_merge_size", kVl},
    {"temporal_patch_size", kVl},
    {"window_size", kVl},
};

constexpr absl::string_view kReadInRope[] = {
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "factor",
    "high_freq_factor",
    "low_freq_factor",
    "mrope_interleaved",
    "mrope_section",
    "mscale",
    "mscale_all_dim",
    "original_max_position_embeddings",
    "partial_rotary_factor",
    "rope_theta",
    "rope_type",
    "truncate",
    "type",
    // Says that the model was trained with the scaling.
    "finetuned",
};

// Training, generation, labels, bookkeeping, and the pooler that no vector uses. Keys that begin
// with "_" are the libraries' own.
constexpr absl::string_view kHarmless[] = {
    "attention_dropout",
    "attention_probs_dropout_prob",
    "attn_implementation",
    "bad_words_ids",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cls_token_id",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "directionality",
    "diversity_penalty",
    "do_sample",
    "dropout",
    "dtype",
    "embd_pdrop",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "encoder_stride",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout",
    "hidden_dropout_prob",
    "id2label",
    "in_chans",  // of Qwen2.5-VL; its patch weights have this shape
    "initializer_factor",
    "is_llama_config",
    "label2id",
    "language",
    "length_penalty",
    "logit_scale_init_value",
    "mask_token_id",
    "max_length",
    "min_length",
    "name",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_scores",
    "pooler_act",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_output_size",
    "pooler_size_per_head",
    "pooler_type",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "sentence_transformers",
    "sep_token_id",
    "spatial_patch_size",  // of Qwen2.5-VL; the same as patch_size
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "tokens_per_second",  // of videos
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_return_dict",
    "video_token_id",
    "vision_end_token_id",
    "vision_start_token_id",
    "vision_token_id",
};

constexpr absl::string_view kNestedConfigs[] = {"text_config", "text_config_dict", "vision_config",
                                                "vision_config_dict"};
constexpr absl::string_view kRopeConfigs[] = {"rope_parameters", "rope_scaling"};

bool IsIn(absl::Span<const absl::string_view> names, absl::string_view key) {
  return std::find(names.begin(), names.end(), key) != names.end();
}

// Whether a value says that something is not used.
bool IsOff(const nlohmann::json& value) {
  switch (value.type()) {
    case nlohmann::json::value_t::null:
      return true;
    case nlohmann::json::value_t::boolean:
      return !value.get<bool>();
    case nlohmann::json::value_t::string:
      return value.get_ref<const std::string&>().empty();
    case nlohmann::json::value_t::array:
    case nlohmann::json::value_t::object:
      return value.empty();
    default:
      return value.is_number() && value.get<double>() == 0;
  }
}

// A value for a message, in one short line.
std::string Shown(const nlohmann::json& value) {
  constexpr size_t kMaxBytes = 60;
  std::string text = value.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/true);
  if (text.size() > kMaxBytes) text = absl::StrCat(text.substr(0, kMaxBytes), "…");
  return text;
}

const RefusedKey* FindRefused(absl::string_view key) {
  const auto* const row = std::find_if(std::begin(kRefused), std::end(kRefused),
                                       [&](const RefusedKey& each) { return each.name == key; });
  return row == std::end(kRefused) ? nullptr : row;
}

bool IsRead(Readers family, absl::string_view key) {
  return std::any_of(std::begin(kRead), std::end(kRead), [&](const ReadKey& row) {
    return row.name == key && (row.readers & family) != 0;
  });
}

// All groups for an unknown type, so that only keys that nobody reads are reported.
Readers ReadersOf(const JsonConfig& config) {
  const nlohmann::json& json = config.json();
  const auto it = json.find("model_type");
  const std::string type = it != json.end() && it->is_string() ? it->get<std::string>() : "";
  if (type == "bert") return kBert;
  if (type == "llama") return kDecoder;
  if (type == "qwen2" || type == "qwen3") return kDecoder | kQwen;
  if (absl::EndsWith(type, "_vl")) return kDecoder | kQwen | kVl;
  if (absl::StartsWith(type, "clip") || type == "siglip" || type == "vit") return kTower;
  if (type == "efficientnet_lite") return kConvolution;
  return kAll;
}

void CollectUnknown(const nlohmann::json& object, Readers family, const std::string& path,
                    std::vector<std::string>& unknown) {
  for (const auto& [key, value] : object.items()) {
    const bool known = IsRead(family, key) || IsIn(kHarmless, key) || FindRefused(key) != nullptr ||
                       absl::StartsWith(key, "_");
    if (!known && !IsOff(value)) unknown.push_back(absl::StrCat(path, key));

    if (!value.is_object()) continue;
    const std::string below = absl::StrCat(path, key, ".");
    if (IsIn(kNestedConfigs, key)) CollectUnknown(value, family, below, unknown);
    if (!IsIn(kRopeConfigs, key)) continue;
    for (const auto& [inner, setting] : value.items()) {
      if (!IsIn(kReadInRope, inner) && !IsOff(setting))
        unknown.push_back(absl::StrCat(below, inner));
    }
  }
}

}  // namespace

absl::Status RefuseUnsupportedKeys(const JsonConfig& config) {
  for (const auto& [key, value] : config.json().items()) {
    if (value.is_object() && (IsIn(kNestedConfigs, key) || IsIn(kRopeConfigs, key))) {
      PALATE_RETURN_IF_ERROR(
          RefuseUnsupportedKeys(JsonConfig(value, absl::StrCat(config.source(), ": ", key))));
    }

    const RefusedKey* const row = FindRefused(key);
    if (row == nullptr || IsOff(value)) continue;
    if (row->neutral != 0 && value.is_number() && value.get<double>() == row->neutral) continue;
    return absl::UnimplementedError(absl::StrCat(
        config.source(), ": ", key, " is ", Shown(value),
        ", which is not supported; if the weights were trained without it, remove the key"));
  }
  return absl::OkStatus();
}

std::vector<std::string> UnknownConfigKeys(const JsonConfig& config) {
  std::vector<std::string> unknown;
  CollectUnknown(config.json(), ReadersOf(config), "", unknown);
  std::sort(unknown.begin(), unknown.end());
  return unknown;
}

}  // namespace palate::models
