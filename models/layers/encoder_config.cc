#include "models/layers/encoder_config.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace palate::models {

absl::StatusOr<JsonConfig> NestedWithDefaults(const JsonConfig& config, absl::string_view key,
                                              const nlohmann::json& defaults) {
  nlohmann::json values = defaults;
  if (config.Has(key)) {
    PALATE_ASSIGN_OR_RETURN(const JsonConfig given, config.Object(key));
    for (const auto& [name, value] : given.json().items()) {
      if (!value.is_null()) values[name] = value;
    }
  }

  return JsonConfig(std::move(values), absl::StrCat(config.source(), ": ", key));
}

absl::StatusOr<EncoderConfig> ReadEncoderConfig(const JsonConfig& config) {
  EncoderConfig result;
  PALATE_ASSIGN_OR_RETURN(result.hidden_size, config.IntIn("hidden_size", 1, kMaxTowerExtent));
  PALATE_ASSIGN_OR_RETURN(result.intermediate_size,
                          config.IntIn("intermediate_size", 1, kMaxTowerExtent));
  PALATE_ASSIGN_OR_RETURN(result.num_layers, config.IntIn("num_hidden_layers", 1, 1024));
  PALATE_ASSIGN_OR_RETURN(result.num_heads, config.IntIn("num_attention_heads", 1, 1024));
  PALATE_ASSIGN_OR_RETURN(result.layer_norm_eps, config.Double("layer_norm_eps"));

  PALATE_ASSIGN_OR_RETURN(const std::string activation, config.String("hidden_act"));
  const auto known = ActivationFromName(activation);
  if (!known.ok()) return Annotate(known.status(), config.source());
  result.activation = *known;

  if (result.hidden_size % result.num_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(config.source(), ": hidden_size (", result.hidden_size,
                     ") is not a multiple of num_attention_heads (", result.num_heads, ")"));
  }
  if (!(result.layer_norm_eps > 0))
    return absl::InvalidArgumentError(
        absl::StrCat(config.source(), ": layer_norm_eps is not above 0"));

  return result;
}

}  // namespace palate::models
