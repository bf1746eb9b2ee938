#include "models/decoder/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"

namespace palate::models {
namespace {

constexpr int64_t kMaxSection = 4096;

absl::Status UnsupportedRope(const JsonConfig& config, absl::string_view what) {
  return absl::UnimplementedError(absl::StrCat(config.source(), ": ", what));
}

// If a config has both spellings, the older "rope_scaling" takes precedence.
absl::StatusOr<JsonConfig> RopeBlock(const JsonConfig& config) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!config.Has(key)) continue;
    PALATE_ASSIGN_OR_RETURN(JsonConfig block, config.Object(key));
    if (!block.json().empty()) return block;
  }
  return JsonConfig(nlohmann::json::object(), config.source());
}

absl::Status CheckBlock(const JsonConfig& config, const JsonConfig& block) {
  for (const auto& [key, value] : block.json().items()) {
    if (value.is_object())
      return UnsupportedRope(block, absl::StrCat("rope parameters per layer type (",
                                                 QuoteForMessage(key), ") are not supported"));
  }
  for (const JsonConfig* source : {&config, &block}) {
    PALATE_ASSIGN_OR_RETURN(const double part, source->DoubleOr("partial_rotary_factor", 1.0));
    if (part != 1.0)
      return UnsupportedRope(
          *source, absl::StrCat("partial_rotary_factor ", part, " is not supported, only 1"));
  }
  return absl::OkStatus();
}

absl::StatusOr<RopeConfig::Type> ReadType(const JsonConfig& block) {
  PALATE_ASSIGN_OR_RETURN(const std::string older, block.StringOr("type", "default"));
  PALATE_ASSIGN_OR_RETURN(const std::string type, block.StringOr("rope_type", older));

  // "mrope" only means that there are sections.
  if (type == "default" || type == "mrope") return RopeConfig::Type::kDefault;
  if (type == "linear") return RopeConfig::Type::kLinear;
  if (type == "dynamic") return RopeConfig::Type::kDynamic;
  if (type == "yarn") return RopeConfig::Type::kYarn;
  if (type == "llama3") return RopeConfig::Type::kLlama3;
  return UnsupportedRope(
      block,
      absl::StrCat(
          "rope type ", QuoteForMessage(type),
          " is not supported; supported are default, linear, dynamic, yarn, llama3 and mrope"));
}

absl::Status ReadSections(const JsonConfig& block, RopeConfig& rope) {
  if (!block.Has("mrope_section")) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const std::vector<double> sections, block.Doubles("mrope_section"));
  for (const double section : sections) {
    if (!(section >= 0) || section > kMaxSection || section != std::floor(section)) {
      return absl::InvalidArgumentError(absl::StrCat(block.source(), ": mrope_section contains ",
                                                     section,
                                                     ", which is not a number of dimensions"));
    }
    rope.mrope_section.push_back(static_cast<int64_t>(section));
  }

  if (sections.size() != 3) {
    return absl::InvalidArgumentError(absl::StrCat(block.source(), ": mrope_section has ",
                                                   sections.size(), " entries instead of 3"));
  }

  PALATE_ASSIGN_OR_RETURN(rope.mrope_interleaved, block.BoolOr("mrope_interleaved", false));
  return absl::OkStatus();
}

// The context length of training. A value next to the block takes precedence over one inside it.
absl::StatusOr<int64_t> OriginalMaxPositions(const JsonConfig& config, const JsonConfig& block,
                                             int64_t max_positions) {
  constexpr char kKey[] = "original_max_position_embeddings";
  PALATE_ASSIGN_OR_RETURN(const int64_t positions,
                          (config.Has(kKey) ? config : block).IntOr(kKey, max_positions));
  if (positions < 1)
    return absl::InvalidArgumentError(
        absl::StrCat(block.source(), ": ", kKey, " is ", positions, ", must be at least 1"));
  return positions;
}

absl::StatusOr<double> Positive(const JsonConfig& block, absl::string_view key) {
  PALATE_ASSIGN_OR_RETURN(const double value, block.Double(key));
  if (!(value > 0))
    return absl::InvalidArgumentError(
        absl::StrCat(block.source(), ": ", key, " is ", value, ", must be above 0"));
  return value;
}

// The factor by which YaRN sharpens attention for a context stretched by `factor`.
double AttentionScale(double factor, double weight) {
  return factor <= 1.0 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0;
}

absl::Status ReadYarn(const JsonConfig& block, int64_t max_positions, RopeConfig& rope) {
  if (block.json().contains("factor") && !block.Has("factor")) {
    rope.factor =
        static_cast<double>(max_positions) / static_cast<double>(rope.original_max_positions);
  } else {
    PALATE_ASSIGN_OR_RETURN(rope.factor, Positive(block, "factor"));
  }

  // The reference treats 0 as absent.
  PALATE_ASSIGN_OR_RETURN(const double beta_fast, block.DoubleOr("beta_fast", 0));
  PALATE_ASSIGN_OR_RETURN(const double beta_slow, block.DoubleOr("beta_slow", 0));
  if (beta_fast != 0) rope.beta_fast = beta_fast;
  if (beta_slow != 0) rope.beta_slow = beta_slow;
  PALATE_ASSIGN_OR_RETURN(rope.truncate, block.BoolOr("truncate", rope.truncate));

  PALATE_ASSIGN_OR_RETURN(const double mscale, block.DoubleOr("mscale", 0));
  PALATE_ASSIGN_OR_RETURN(const double mscale_all_dim, block.DoubleOr("mscale_all_dim", 0));
  const bool has_both = mscale != 0 && mscale_all_dim != 0;
  const double implied =
      has_both ? AttentionScale(rope.factor, mscale) / AttentionScale(rope.factor, mscale_all_dim)
               : AttentionScale(rope.factor, 1.0);

  PALATE_ASSIGN_OR_RETURN(rope.attention_factor, block.DoubleOr("attention_factor", implied));

  if (!(rope.beta_fast > 0) || !(rope.beta_slow > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat(block.source(), ": beta_fast and beta_slow must be above 0"));
  }
  return absl::OkStatus();
}

absl::Status ReadLlama3(const JsonConfig& block, RopeConfig& rope) {
  PALATE_ASSIGN_OR_RETURN(rope.factor, Positive(block, "factor"));
  PALATE_ASSIGN_OR_RETURN(rope.low_freq_factor, Positive(block, "low_freq_factor"));
  PALATE_ASSIGN_OR_RETURN(rope.high_freq_factor, Positive(block, "high_freq_factor"));

  if (rope.high_freq_factor == rope.low_freq_factor) {
    return absl::InvalidArgumentError(
        absl::StrCat(block.source(), ": high_freq_factor equals low_freq_factor"));
  }
  return absl::OkStatus();
}

// The dimension that makes `rotations` turns within `positions` positions.
double CorrectionDimension(double rotations, double dim, double theta, double positions) {
  return dim * std::log(positions / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

// The dimensions between which YaRN changes from keeping wavelengths to stretching them.
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

// The functions below compute in float32, as the reference does.

float Yarn(const RopeConfig& rope, float wavelength, int64_t pair,
           const std::pair<double, double>& range) {
  const float stretched = 1.0f / (static_cast<float>(rope.factor) * wavelength);
  const auto ramp = static_cast<float>(std::clamp(
      (static_cast<double>(pair) - range.first) / (range.second - range.first), 0.0, 1.0));
  return stretched * ramp + (1.0f / wavelength) * (1.0f - ramp);
}

// Keeps short wavelengths, stretches long ones, and interpolates between them.
float Llama3(const RopeConfig& rope, float frequency) {
  const auto positions = static_cast<float>(rope.original_max_positions);
  const auto factor = static_cast<float>(rope.factor);
  const auto low = static_cast<float>(rope.low_freq_factor);
  const auto high = static_cast<float>(rope.high_freq_factor);
  const float wavelength = 2.0f * std::numbers::pi_v<float> / frequency;

  if (wavelength < positions / high) return frequency;
  if (wavelength > positions / low) return frequency / factor;

  const float smooth = (positions / wavelength - low) / (high - low);
  return (1.0f - smooth) * frequency / factor + smooth * frequency;
}

}  // namespace

absl::StatusOr<RopeConfig> RopeConfig::FromJson(const JsonConfig& config, int64_t max_positions,
                                                double theta_when_absent) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig block, RopeBlock(config));
  PALATE_RETURN_IF_ERROR(CheckBlock(config, block));

  RopeConfig rope;
  if (theta_when_absent > 0 && !block.Has("rope_theta") && !config.Has("rope_theta")) {
    rope.theta = theta_when_absent;
  } else {
    PALATE_ASSIGN_OR_RETURN(rope.theta,
                            (block.Has("rope_theta") ? block : config).Double("rope_theta"));
  }
  if (!(rope.theta > 1))
    return absl::InvalidArgumentError(absl::StrCat(config.source(), ": rope_theta is not above 1"));

  PALATE_ASSIGN_OR_RETURN(rope.type, ReadType(block));
  PALATE_RETURN_IF_ERROR(ReadSections(block, rope));

  switch (rope.type) {
    case Type::kDefault:
      break;
    case Type::kLinear:
    case Type::kDynamic: {
      PALATE_ASSIGN_OR_RETURN(rope.factor, Positive(block, "factor"));
      break;
    }
    case Type::kYarn: {
      PALATE_ASSIGN_OR_RETURN(rope.original_max_positions,
                              OriginalMaxPositions(config, block, max_positions));
      PALATE_RETURN_IF_ERROR(ReadYarn(block, max_positions, rope));
      break;
    }
    case Type::kLlama3: {
      PALATE_ASSIGN_OR_RETURN(rope.original_max_positions,
                              OriginalMaxPositions(config, block, max_positions));
      PALATE_RETURN_IF_ERROR(ReadLlama3(block, rope));
      break;
    }
  }

  return rope;
}

nlohmann::json RopeConfig::ToJson() const {
  nlohmann::json json = {{"rope_theta", theta}};

  switch (type) {
    case Type::kDefault:
      json["rope_type"] = "default";
      break;
    case Type::kLinear:
    case Type::kDynamic:
      json["rope_type"] = type == Type::kLinear ? "linear" : "dynamic";
      json["factor"] = factor;
      break;
    case Type::kYarn:
      json.update({{"rope_type", "yarn"},
                   {"factor", factor},
                   {"original_max_position_embeddings", original_max_positions},
                   {"beta_fast", beta_fast},
                   {"beta_slow", beta_slow},
                   {"attention_factor", attention_factor},
                   {"truncate", truncate}});
      break;
    case Type::kLlama3:
      json.update({{"rope_type", "llama3"},
                   {"factor", factor},
                   {"original_max_position_embeddings", original_max_positions},
                   {"low_freq_factor", low_freq_factor},
                   {"high_freq_factor", high_freq_factor}});
      break;
  }

  if (!mrope_section.empty()) {
    json["mrope_section"] = mrope_section;
    json["mrope_interleaved"] = mrope_interleaved;
  }
  return json;
}

std::vector<int64_t> RopeConfig::AxisOfPair(int64_t dim) const {
  std::vector<int64_t> axes(static_cast<size_t>(dim / 2), 0);
  if (mrope_section.empty()) return axes;

  size_t pair = 0;
  for (size_t axis = 0; axis < mrope_section.size(); ++axis) {
    const auto size = static_cast<size_t>(mrope_section[axis]);
    // Interleaved: height has every third pair from the second on, width every third from the third
    // on, as many as their sections have. All other pairs are temporal.
    for (size_t i = 0; i < size; ++i) {
      const size_t at = mrope_interleaved ? 3 * i + axis : pair++;
      if (at < axes.size()) axes[at] = static_cast<int64_t>(axis);
    }
  }
  return axes;
}

std::vector<float> RopeInverseFrequencies(const RopeConfig& rope, int64_t dim) {
  const std::pair<double, double> range = rope.type == RopeConfig::Type::kYarn
                                              ? CorrectionRange(rope, static_cast<double>(dim))
                                              : std::pair<double, double>(0, 1);

  std::vector<float> frequencies;
  for (int64_t pair = 0; pair < dim / 2; ++pair) {
    const float wavelength = std::pow(static_cast<float>(rope.theta),
                                      static_cast<float>(2 * pair) / static_cast<float>(dim));
    switch (rope.type) {
      case RopeConfig::Type::kDefault:
      case RopeConfig::Type::kDynamic:
        frequencies.push_back(1.0f / wavelength);
        break;
      case RopeConfig::Type::kLinear:
        frequencies.push_back(1.0f / wavelength / static_cast<float>(rope.factor));
        break;
      case RopeConfig::Type::kYarn:
        frequencies.push_back(Yarn(rope, wavelength, pair, range));
        break;
      case RopeConfig::Type::kLlama3:
        frequencies.push_back(Llama3(rope, 1.0f / wavelength));
        break;
    }
  }

  return frequencies;
}

}  // namespace palate::models
