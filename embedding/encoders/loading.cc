#include "embedding/encoders/loading.h"

#include <filesystem>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "models/device.h"
#include "models/dtype.h"

namespace palate::embedding {
namespace {

constexpr size_t kFingerprintDigits = 16;

}  // namespace

absl::StatusOr<Placement> Placement::From(const EmbeddingModelOptions& options) {
  Placement placement;
  PALATE_ASSIGN_OR_RETURN(placement.device, models::OpenDevice(options.device));
  PALATE_ASSIGN_OR_RETURN(placement.dtype, models::ParseDtype(options.dtype, placement.device));
  return placement;
}

models::LoadOptions Placement::ForModels() const {
  models::LoadOptions options;
  options.dtype = dtype;
  options.device = device;
  return options;
}

std::string Digest(absl::string_view content) { return absl::BytesToHexString(Sha256(content)); }

std::string Fingerprint(absl::string_view content) {
  return Digest(content).substr(0, kFingerprintDigits);
}

std::string FamilyId(models::ModelFamily family) {
  switch (family) {
    case models::ModelFamily::kBert:
      return "bert";
    case models::ModelFamily::kVit:
      return "vit";
    case models::ModelFamily::kEfficientNetLite:
      return "efficientnet_lite";
    case models::ModelFamily::kClip:
      return "clip";
    case models::ModelFamily::kSiglip:
      return "siglip";
    case models::ModelFamily::kQwen2:
      return "qwen2";
    case models::ModelFamily::kQwen3:
      return "qwen3";
    case models::ModelFamily::kLlama:
      return "llama";
    case models::ModelFamily::kQwen25Vl:
      return "qwen2_5_vl";
    case models::ModelFamily::kQwen3Vl:
      return "qwen3_vl";
  }

  return "";
}

ModelInfo NewInfo(const std::string& folder, absl::string_view family, const Placement& placement) {
  ModelInfo info;

  // A trailing slash does not change the name.
  std::filesystem::path path = std::filesystem::path(folder).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  info.name = path.filename().string();

  info.folder = folder;
  info.family = std::string(family);
  info.dtype = std::string(models::DtypeName(placement.dtype));
  info.device = placement.device.str();
  return info;
}

std::string PoolingName(models::TextPooling pooling) {
  switch (pooling) {
    case models::TextPooling::kMean:
      return "mean";
    case models::TextPooling::kCls:
      return "cls";
    case models::TextPooling::kMax:
      return "max";
    case models::TextPooling::kMeanSqrtLen:
      return "mean_sqrt_len";
    case models::TextPooling::kLastToken:
      return "last_token";
  }
  return "";
}

void WarnOfAssumptions(const ModelInfo& info) {
  if (info.pooling_is_assumed) {
    spdlog::warn(
        "embedding model {}: {} has no modules.json, which states how tokens are pooled; {} is "
        "assumed",
        info.name, info.folder, info.pooling);
  }
  if (!info.unknown_config_keys.empty()) {
    spdlog::warn(
        "embedding model {}: config.json sets keys that are not known and have no effect: {}",
        info.name, absl::StrJoin(info.unknown_config_keys, ", "));
  }
}

absl::Status RefuseDecoderOptions(const EmbeddingModelOptions& options, absl::string_view family) {
  if (!options.adapter.empty()) {
    return absl::UnimplementedError(
        absl::StrCat("adapters are supported for decoders only; this is a ", family, " model"));
  }
  if (options.max_text_tokens != 0) {
    return absl::InvalidArgumentError(absl::StrCat("max_text_tokens applies to decoders; a ",
                                                   family, " model has a fixed limit"));
  }
  return RefusePixelBudget(options, family);
}

absl::Status RefusePixelBudget(const EmbeddingModelOptions& options, absl::string_view family) {
  if (options.min_pixels == 0 && options.max_pixels == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "min_pixels and max_pixels apply to models that keep an image's aspect ratio; a ", family,
      " model does not"));
}

}  // namespace palate::embedding
