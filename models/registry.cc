#include "models/registry.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/bytes.h"
#include "base/status.h"

namespace palate::models {
namespace {

struct FamilyRow {
  const char* model_type;
  const char* architecture;
  ModelFamily family;
};
constexpr auto kFamilies = std::to_array<FamilyRow>({
    {"bert", "BertModel", ModelFamily::kBert},
    {"bert", "BertForMaskedLM", ModelFamily::kBert},
    {"bert", "BertForPreTraining", ModelFamily::kBert},
    {"clip_vision_model", "CLIPVisionModelWithProjection", ModelFamily::kVit},
    {"clip_vision_model", "CLIPVisionModel", ModelFamily::kVit},
    {"vit", "ViTModel", ModelFamily::kVit},
    {"efficientnet_lite", "EfficientNetLite", ModelFamily::kEfficientNetLite},
    {"clip", "CLIPModel", ModelFamily::kClip},
    {"siglip", "SiglipModel", ModelFamily::kSiglip},
    {"qwen2", "Qwen2ForCausalLM", ModelFamily::kQwen2},
    {"qwen2", "Qwen2Model", ModelFamily::kQwen2},
    {"qwen3", "Qwen3ForCausalLM", ModelFamily::kQwen3},
    {"qwen3", "Qwen3Model", ModelFamily::kQwen3},
    {"llama", "LlamaForCausalLM", ModelFamily::kLlama},
    {"llama", "LlamaModel", ModelFamily::kLlama},
    {"qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", ModelFamily::kQwen25Vl},
    {"qwen2_5_vl", "Qwen2_5_VLModel", ModelFamily::kQwen25Vl},
    {"qwen3_vl", "Qwen3VLForConditionalGeneration", ModelFamily::kQwen3Vl},
    {"qwen3_vl", "Qwen3VLModel", ModelFamily::kQwen3Vl},
});

// The architectures that the config names; empty without the key.
absl::StatusOr<std::vector<std::string>> Architectures(const JsonConfig& config) {
  std::vector<std::string> names;
  if (!config.Has("architectures")) return names;

  if (!config.json().at("architectures").is_array()) {
    return absl::InvalidArgumentError(
        absl::StrCat(config.source(), ": architectures is not a list of names"));
  }

  for (const nlohmann::json& name : config.json().at("architectures")) {
    if (!name.is_string())
      return absl::InvalidArgumentError(
          absl::StrCat(config.source(), ": architectures is not a list of names"));
    names.push_back(name.get<std::string>());
  }
  return names;
}

std::string Supported() {
  std::vector<std::string> rows;
  for (const FamilyRow& row : kFamilies)
    rows.push_back(absl::StrCat(row.model_type, " (", row.architecture, ")"));
  return absl::StrJoin(rows, ", ");
}

}  // namespace

absl::string_view ModelFamilyName(ModelFamily family) {
  switch (family) {
    case ModelFamily::kBert:
      return "BERT";
    case ModelFamily::kVit:
      return "ViT";
    case ModelFamily::kEfficientNetLite:
      return "EfficientNet-Lite";
    case ModelFamily::kClip:
      return "CLIP";
    case ModelFamily::kSiglip:
      return "SigLIP";
    case ModelFamily::kQwen2:
      return "Qwen2";
    case ModelFamily::kQwen3:
      return "Qwen3";
    case ModelFamily::kLlama:
      return "Llama";
    case ModelFamily::kQwen25Vl:
      return "Qwen2.5-VL";
    case ModelFamily::kQwen3Vl:
      return "Qwen3-VL";
  }

  return "";
}

absl::StatusOr<ModelFamily> FindModelFamily(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const std::string type, config.String("model_type"));
  PALATE_ASSIGN_OR_RETURN(const std::vector<std::string> architectures, Architectures(config));

  for (const FamilyRow& row : kFamilies) {
    const bool named = architectures.empty() ||
                       std::find(architectures.begin(), architectures.end(), row.architecture) !=
                           architectures.end();
    if (type == row.model_type && named) return row.family;
  }

  return absl::UnimplementedError(absl::StrCat(config.source(), ": model_type ",
                                               QuoteForMessage(type), " with architectures [",
                                               QuoteForMessage(absl::StrJoin(architectures, ", ")),
                                               "] is not supported; supported are ", Supported()));
}

}  // namespace palate::models
