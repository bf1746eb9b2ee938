#include "models/qwen3/config.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace palate::models {
namespace {

constexpr int64_t kMaxExtent = 1 << 24;

absl::Status Unsupported(const JsonConfig& config, absl::string_view what) {
  return absl::UnimplementedError(absl::StrCat(config.source(), ": ", what));
}

// The rope block: "rope_parameters", else "rope_scaling", else none.
absl::StatusOr<JsonConfig> RopeBlock(const JsonConfig& config) {
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (config.Has(key)) return config.Object(key);
  }
  return JsonConfig(nlohmann::json::object(), config.source());
}

// How much YaRN sharpens attention for a context stretched by `factor`.
double AttentionScale(double factor, double weight) { return factor <= 1.0 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0; }

absl::Status ReadYarn(const JsonConfig& block, int64_t max_positions, RopeConfig& rope) {
  PALATE_ASSIGN_OR_RETURN(rope.original_max_positions, block.IntOr("original_max_position_embeddings", max_positions));
  if (block.Has("factor")) {
    PALATE_ASSIGN_OR_RETURN(rope.factor, block.Double("factor"));
  } else {
    rope.factor = static_cast<double>(max_positions) / static_cast<double>(rope.original_max_positions);
  }
  PALATE_ASSIGN_OR_RETURN(rope.beta_fast, block.DoubleOr("beta_fast", rope.beta_fast));
  PALATE_ASSIGN_OR_RETURN(rope.beta_slow, block.DoubleOr("beta_slow", rope.beta_slow));
  PALATE_ASSIGN_OR_RETURN(rope.truncate, block.BoolOr("truncate", rope.truncate));
  PALATE_ASSIGN_OR_RETURN(const double mscale, block.DoubleOr("mscale", 0));
  PALATE_ASSIGN_OR_RETURN(const double mscale_all_dim, block.DoubleOr("mscale_all_dim", 0));
  const bool has_both = mscale != 0 && mscale_all_dim != 0;
  const double implied =
      has_both ? AttentionScale(rope.factor, mscale) / AttentionScale(rope.factor, mscale_all_dim) : AttentionScale(rope.factor, 1.0);
  PALATE_ASSIGN_OR_RETURN(rope.attention_factor, block.DoubleOr("attention_factor", implied));
  if (rope.original_max_positions < 1 || !(rope.factor > 0) || !(rope.beta_fast > 0) || !(rope.beta_slow > 0)) {
    return absl::InvalidArgumentError(absl::StrCat(block.source(), ": YaRN needs a positive factor, betas and original length"));
  }
  return absl::OkStatus();
}

// The dimension that turns `rotations` times within `positions` positions.
double CorrectionDimension(double rotations, double dim, double theta, double positions) {
  return dim * std::log(positions / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

// Between which dimensions YaRN goes over from keeping a wavelength to stretching it.
std::pair<double, double> CorrectionRange(const RopeConfig& rope, double dim) {
  const auto positions = static_cast<double>(rope.original_max_positions);
  double low = CorrectionDimension(rope.beta_fast, dim, rope.theta, positions);
  double high = CorrectionDimension(rope.beta_slow, dim, rope.theta, positions);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  // Equal ends would divide by zero.
  if (low == high) high += 0.001;
  return {low, high};
}

// Ids under `key`: a number, a list of numbers, or nothing.
absl::StatusOr<std::vector<int64_t>> TokenIds(const JsonConfig& config, absl::string_view key) {
  if (!config.Has(key)) return std::vector<int64_t>{};
  if (config.json().at(std::string(key)).is_array()) {
    PALATE_ASSIGN_OR_RETURN(const std::vector<double> values, config.Doubles(key));
    return std::vector<int64_t>(values.begin(), values.end());
  }
  PALATE_ASSIGN_OR_RETURN(const int64_t id, config.Int(key));
  return std::vector<int64_t>{id};
}

absl::Status CheckSupported(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const std::string activation, config.String("hidden_act"));
  if (activation != "silu") return Unsupported(config, absl::StrCat("activation \"", activation, "\" is not supported, only silu"));
  PALATE_ASSIGN_OR_RETURN(const bool attention_bias, config.BoolOr("attention_bias", false));
  if (attention_bias) return Unsupported(config, "attention_bias is not supported");
  PALATE_ASSIGN_OR_RETURN(const bool sliding, config.BoolOr("use_sliding_window", false));
  if (sliding) return Unsupported(config, "sliding windows are not supported");
  if (config.Has("layer_types")) {
    for (const nlohmann::json& type : config.json().at("layer_types")) {
      if (type != "full_attention") return Unsupported(config, "layer types other than full_attention are not supported");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RopeConfig> RopeConfig::FromJson(const JsonConfig& config, int64_t max_positions) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig block, RopeBlock(config));
  RopeConfig rope;
  PALATE_ASSIGN_OR_RETURN(rope.theta, (block.Has("rope_theta") ? block : config).Double("rope_theta"));
  if (!(rope.theta > 1)) return absl::InvalidArgumentError(absl::StrCat(config.source(), ": rope_theta is not above 1"));
  PALATE_ASSIGN_OR_RETURN(const std::string older, block.StringOr("type", "default"));
  PALATE_ASSIGN_OR_RETURN(const std::string type, block.StringOr("rope_type", older));
  if (type == "default") return rope;
  if (type == "yarn") {
    rope.type = Type::kYarn;
    PALATE_RETURN_IF_ERROR(ReadYarn(block, max_positions, rope));
    return rope;
  }
  return Unsupported(config, absl::StrCat("rope type \"", type, "\" is not supported; supported are default and yarn"));
}

std::vector<float> RopeInverseFrequencies(const RopeConfig& rope, int64_t dim) {
  const auto [low, high] =
      rope.type == RopeConfig::Type::kYarn ? CorrectionRange(rope, static_cast<double>(dim)) : std::pair<double, double>(0, 1);
  std::vector<float> frequencies;
  for (int64_t i = 0; i < dim / 2; ++i) {
    // The reference computes these in float32.
    const float wavelength = std::pow(static_cast<float>(rope.theta), static_cast<float>(2 * i) / static_cast<float>(dim));
    const float kept = 1.0f / wavelength;
    if (rope.type == RopeConfig::Type::kDefault) {
      frequencies.push_back(kept);
      continue;
    }
    const float stretched = 1.0f / (static_cast<float>(rope.factor) * wavelength);
    const auto ramp = static_cast<float>(std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
    frequencies.push_back(stretched * ramp + kept * (1.0f - ramp));
  }
  return frequencies;
}

absl::StatusOr<Qwen3Config> Qwen3Config::FromJson(const JsonConfig& config) {
  PALATE_RETURN_IF_ERROR(CheckSupported(config));
  Qwen3Config result;
  PALATE_ASSIGN_OR_RETURN(result.vocab_size, config.IntIn("vocab_size", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(result.hidden_size, config.IntIn("hidden_size", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(result.intermediate_size, config.IntIn("intermediate_size", 1, kMaxExtent));
  PALATE_ASSIGN_OR_RETURN(result.num_layers, config.IntIn("num_hidden_layers", 1, 1024));
  PALATE_ASSIGN_OR_RETURN(result.num_heads, config.IntIn("num_attention_heads", 1, 1024));
  PALATE_ASSIGN_OR_RETURN(result.num_kv_heads, config.IntIn("num_key_value_heads", 1, 1024));
  PALATE_ASSIGN_OR_RETURN(result.head_dim, config.IntIn("head_dim", 2, 4096));
  PALATE_ASSIGN_OR_RETURN(result.max_positions, config.IntIn("max_position_embeddings", 1, int64_t{1} << 32));
  PALATE_ASSIGN_OR_RETURN(result.rms_norm_eps, config.Double("rms_norm_eps"));
  PALATE_ASSIGN_OR_RETURN(result.initializer_range, config.DoubleOr("initializer_range", result.initializer_range));
  // The format's own default: the key is left out when it is false.
  PALATE_ASSIGN_OR_RETURN(result.tie_word_embeddings, config.BoolOr("tie_word_embeddings", false));
  PALATE_ASSIGN_OR_RETURN(result.rope, RopeConfig::FromJson(config, result.max_positions));
  PALATE_ASSIGN_OR_RETURN(result.bos_token_id, config.IntOr("bos_token_id", -1));
  PALATE_ASSIGN_OR_RETURN(result.pad_token_id, config.IntOr("pad_token_id", -1));
  PALATE_ASSIGN_OR_RETURN(result.eos_token_ids, TokenIds(config, "eos_token_id"));
  PALATE_RETURN_IF_ERROR(Annotate(result.Validate(), config.source()));
  return result;
}

nlohmann::json Qwen3Config::ToJson() const {
  nlohmann::json rope_block = {{"rope_theta", rope.theta}, {"rope_type", "default"}};
  if (rope.type == RopeConfig::Type::kYarn) {
    rope_block = {{"rope_theta", rope.theta},
                  {"rope_type", "yarn"},
                  {"factor", rope.factor},
                  {"original_max_position_embeddings", rope.original_max_positions},
                  {"beta_fast", rope.beta_fast},
                  {"beta_slow", rope.beta_slow},
                  {"attention_factor", rope.attention_factor},
                  {"truncate", rope.truncate}};
  }
  nlohmann::json json = {
      {"architectures", {"Qwen3ForCausalLM"}},
      {"model_type", "qwen3"},
      {"attention_bias", false},
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
      {"rope_parameters", rope_block},
      // Readers of the older spelling look here.
      {"rope_theta", rope.theta},
      {"tie_word_embeddings", tie_word_embeddings},
      {"use_cache", true},
      {"use_sliding_window", false},
      {"vocab_size", vocab_size},
  };
  if (bos_token_id >= 0) json["bos_token_id"] = bos_token_id;
  if (pad_token_id >= 0) json["pad_token_id"] = pad_token_id;
  if (eos_token_ids.size() == 1) json["eos_token_id"] = eos_token_ids[0];
  if (eos_token_ids.size() > 1) json["eos_token_id"] = eos_token_ids;
  return json;
}

absl::Status Qwen3Config::Validate() const {
  if (vocab_size < 1 || hidden_size < 1 || intermediate_size < 1 || num_layers < 1 || num_heads < 1 || num_kv_heads < 1 ||
      max_positions < 1) {
    return absl::InvalidArgumentError("Qwen3 sizes must all be at least 1");
  }
  if (num_heads % num_kv_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("num_attention_heads (", num_heads, ") is no multiple of num_key_value_heads (", num_kv_heads, ")"));
  }
  if (head_dim < 2 || head_dim % 2 != 0) return absl::InvalidArgumentError(absl::StrCat("head_dim (", head_dim, ") is not even"));
  if (!(rms_norm_eps > 0)) return absl::InvalidArgumentError("rms_norm_eps is not above 0");
  return absl::OkStatus();
}

}  // namespace palate::models
