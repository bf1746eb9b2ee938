#include "models/decoder/decoder_config.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/checkpoint/config_keys.h"

namespace palate::models {
namespace {

constexpr int64_t kMaxExtent = 1 << 24;
constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxPositions = int64_t{1} << 32;

absl::Status Unsupported(const JsonConfig& config, absl::string_view what) {
  return absl::UnimplementedError(absl::StrCat(config.source(), ": ", what));
}

// The ids under `key`: a number, a list of numbers, or none.
absl::StatusOr<std::vector<int64_t>> TokenIds(const JsonConfig& config, absl::string_view key) {
  if (!config.Has(key)) return std::vector<int64_t>{};
  const nlohmann::json& value = config.json().at(std::string(key));

  std::vector<int64_t> ids;
  for (const nlohmann::json& id : value.is_array() ? value : nlohmann::json::array({value})) {
    if (!id.is_number_integer())
      return absl::InvalidArgumentError(
          absl::StrCat(config.source(), ": \"", key, "\" is not a token id"));
    ids.push_back(id.get<int64_t>());
  }
  return ids;
}

// The first of the ids, or -1. Some configs list several where one is expected.
absl::StatusOr<int64_t> TokenId(const JsonConfig& config, absl::string_view key) {
  PALATE_ASSIGN_OR_RETURN(const std::vector<int64_t> ids, TokenIds(config, key));
  return ids.empty() ? -1 : ids[0];
}

absl::Status SeesLaterTokens(const JsonConfig& config, absl::string_view key) {
  return Unsupported(config,
                     absl::StrCat("attention to later tokens (", key, " is ",
                                  config.json().at(std::string(key)).dump(), ") is not supported"));
}

absl::Status CheckSupported(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const std::string activation, config.String("hidden_act"));
  // Two names of the same function.
  if (activation != "silu" && activation != "swish") {
    return Unsupported(config, absl::StrCat("activation ", QuoteForMessage(activation),
                                            " is not supported, only silu"));
  }

  for (const char* key : {"is_causal", "causal"}) {
    PALATE_ASSIGN_OR_RETURN(const bool causal, config.BoolOr(key, true));
    if (!causal) return SeesLaterTokens(config, key);
  }
  for (const char* key : {"use_bidirectional_attention", "use_bidirectional_attn",
                          "bidirectional_attention", "bidirectional"}) {
    PALATE_ASSIGN_OR_RETURN(const bool bidirectional, config.BoolOr(key, false));
    if (bidirectional) return SeesLaterTokens(config, key);
  }

  PALATE_ASSIGN_OR_RETURN(const std::string positions,
                          config.StringOr("position_embedding_type", "rope"));
  if (positions != "rope" && positions != "rotary") {
    return Unsupported(config, absl::StrCat("position_embedding_type ", QuoteForMessage(positions),
                                            " is not supported, only rope"));
  }
  return RefuseUnsupportedKeys(config);
}

bool HasWindow(const std::vector<int64_t>& windows) {
  return std::any_of(windows.begin(), windows.end(), [](int64_t window) { return window > 0; });
}

}  // namespace

absl::StatusOr<DecoderConfig> ReadDecoderBasics(const JsonConfig& config,
                                                const DecoderFormat& format) {
  PALATE_RETURN_IF_ERROR(CheckSupported(config));

  DecoderConfig result;
  PALATE_ASSIGN_OR_RETURN(result.vocab_size, config.IntIn("vocab_size", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(result.hidden_size, config.IntIn("hidden_size", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(result.intermediate_size,
                          config.IntIn("intermediate_size", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(result.num_layers, config.IntIn("num_hidden_layers", 1, kMaxLayers));
  PALATE_ASSIGN_OR_RETURN(result.num_heads, config.IntIn("num_attention_heads", 1, kMaxLayers));

  if (format.one_kv_head_per_head_when_absent && !config.Has("num_key_value_heads")) {
    result.num_kv_heads = result.num_heads;
  } else {
    PALATE_ASSIGN_OR_RETURN(result.num_kv_heads,
                            config.IntIn("num_key_value_heads", 1, kMaxLayers));
  }

  if (format.derives_head_dim_when_absent && !config.Has("head_dim")) {
    if (result.hidden_size % result.num_heads != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(config.source(), ": hidden_size (", result.hidden_size,
                       ") is not a multiple of num_attention_heads (", result.num_heads, ")"));
    }
    result.head_dim = result.hidden_size / result.num_heads;
  } else {
    PALATE_ASSIGN_OR_RETURN(result.head_dim, config.IntIn("head_dim", 2, 4096));
  }

  PALATE_ASSIGN_OR_RETURN(result.max_positions,
                          config.IntIn("max_position_embeddings", 1, kMaxPositions));
  PALATE_ASSIGN_OR_RETURN(result.rms_norm_eps, config.Double("rms_norm_eps"));
  PALATE_ASSIGN_OR_RETURN(result.initializer_range,
                          config.DoubleOr("initializer_range", result.initializer_range));
  // The format omits the key when it is false.
  PALATE_ASSIGN_OR_RETURN(result.tie_word_embeddings, config.BoolOr("tie_word_embeddings", false));

  PALATE_ASSIGN_OR_RETURN(result.rope, RopeConfig::FromJson(config, result.max_positions,
                                                            format.rope_theta_when_absent));

  PALATE_ASSIGN_OR_RETURN(result.bos_token_id, TokenId(config, "bos_token_id"));
  PALATE_ASSIGN_OR_RETURN(result.pad_token_id, TokenId(config, "pad_token_id"));
  PALATE_ASSIGN_OR_RETURN(result.eos_token_ids, TokenIds(config, "eos_token_id"));

  PALATE_RETURN_IF_ERROR(Annotate(result.Validate(), config.source()));
  return result;
}

absl::StatusOr<std::vector<int64_t>> ReadSlidingWindows(const JsonConfig& config,
                                                        int64_t num_layers) {
  PALATE_ASSIGN_OR_RETURN(const bool used, config.BoolOr("use_sliding_window", false));
  int64_t window = 0;
  // use_sliding_window without a number means no window.
  if (used && config.Has("sliding_window")) {
    PALATE_ASSIGN_OR_RETURN(window, config.IntIn("sliding_window", 1, kMaxPositions));
  }

  std::vector<int64_t> windows(static_cast<size_t>(num_layers), 0);
  if (config.Has("layer_types")) {
    const nlohmann::json& types = config.json().at("layer_types");
    if (!types.is_array() || types.size() != windows.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat(config.source(), ": layer_types does not name ", num_layers, " layers"));
    }

    for (size_t i = 0; i < windows.size(); ++i) {
      if (types[i] == "full_attention") continue;
      if (types[i] != "sliding_attention") {
        const std::string name =
            types[i].is_string() ? types[i].get<std::string>() : types[i].type_name();
        return Unsupported(
            config,
            absl::StrCat("layer type ", QuoteForMessage(name),
                         " is not supported; supported are full_attention and sliding_attention"));
      }
      if (window == 0) {
        return absl::InvalidArgumentError(
            absl::StrCat(config.source(),
                         ": layer_types has sliding_attention, but use_sliding_window and "
                         "sliding_window give no window"));
      }
      windows[i] = window;
    }
  } else if (window > 0) {
    PALATE_ASSIGN_OR_RETURN(const int64_t first, config.IntIn("max_window_layers", 0, kMaxExtent));
    std::fill(windows.begin() + std::min(first, num_layers), windows.end(), window);
  }

  if (!HasWindow(windows)) windows.clear();
  return windows;
}

absl::StatusOr<nlohmann::json> DecoderConfig::ToJson() const {
  const bool qwen2 = !qk_norm && qkv_bias && !o_bias;
  const bool known = qkv_bias == o_bias || qwen2;
  if (!known || (mlp_bias && (qk_norm || qwen2)) ||
      (HasWindow(sliding_windows) && !qk_norm && !qwen2)) {
    return absl::UnimplementedError(
        "no family's config.json can express this combination of biases, norms and windows");
  }

  const char* const type = qk_norm ? "qwen3" : qwen2 ? "qwen2" : "llama";
  const char* const architecture = qk_norm ? "Qwen3ForCausalLM"
                                   : qwen2 ? "Qwen2ForCausalLM"
                                           : "LlamaForCausalLM";

  nlohmann::json json = {
      {"architectures", {architecture}},
      {"model_type", type},
      {"attention_dropout", 0.0},
      {"dtype", "float32"},
      {"head_dim", head_dim},
      {"hidden_act", "silu"},
      {"hidden_size", hidden_size},
      {"initializer_range", initializer_range},
      {"intermediate_size", intermediate_size},
      {"max_position_embeddings", max_positions},
      {"num_attention_heads", num_heads},
      {"num_hidden_layers", num_layers},
      {"num_key_value_heads", num_kv_heads},
      {"rms_norm_eps", rms_norm_eps},
      {"rope_parameters", rope.ToJson()},
      // For readers of the older spelling.
      {"rope_theta", rope.theta},
      {"tie_word_embeddings", tie_word_embeddings},
      {"use_cache", true},
      {"vocab_size", vocab_size},
  };

  if (!qwen2) json["attention_bias"] = qkv_bias;
  if (qk_norm || qwen2) {
    json["use_sliding_window"] = HasWindow(sliding_windows);
    nlohmann::json types = nlohmann::json::array();
    for (const int64_t window : sliding_windows) {
      types.push_back(window > 0 ? "sliding_attention" : "full_attention");
      if (window > 0) json["sliding_window"] = window;
    }
    if (HasWindow(sliding_windows)) json["layer_types"] = types;
  } else {
    json["mlp_bias"] = mlp_bias;
  }

  if (bos_token_id >= 0) json["bos_token_id"] = bos_token_id;
  if (pad_token_id >= 0) json["pad_token_id"] = pad_token_id;
  if (eos_token_ids.size() == 1) json["eos_token_id"] = eos_token_ids[0];
  if (eos_token_ids.size() > 1) json["eos_token_id"] = eos_token_ids;
  return json;
}

absl::Status DecoderConfig::Validate() const {
  if (vocab_size < 1 || hidden_size < 1 || intermediate_size < 1 || num_layers < 1 ||
      num_heads < 1 || num_kv_heads < 1 || max_positions < 1) {
    return absl::InvalidArgumentError("a decoder's sizes must all be at least 1");
  }

  if (num_heads % num_kv_heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat("num_attention_heads (", num_heads,
                                                   ") is not a multiple of num_key_value_heads (",
                                                   num_kv_heads, ")"));
  }

  if (head_dim < 2 || head_dim % 2 != 0)
    return absl::InvalidArgumentError(absl::StrCat("head_dim (", head_dim, ") is not even"));
  if (!(rms_norm_eps > 0)) return absl::InvalidArgumentError("rms_norm_eps is not above 0");
  if (!sliding_windows.empty() && sliding_windows.size() != static_cast<size_t>(num_layers)) {
    return absl::InvalidArgumentError(absl::StrCat("there are ", sliding_windows.size(),
                                                   " sliding windows for ", num_layers, " layers"));
  }

  int64_t pairs = 0;
  for (const int64_t section : rope.mrope_section) pairs += section;
  if (!rope.mrope_section.empty() && !rope.mrope_interleaved && pairs != head_dim / 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "mrope_section covers ", pairs, " pairs of dimensions, but a head has ", head_dim / 2));
  }

  return absl::OkStatus();
}

}  // namespace palate::models
