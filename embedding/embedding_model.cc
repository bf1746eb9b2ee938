#include "embedding/embedding_model.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "embedding/encoder.h"
#include "embedding/encoders/loading.h"
#include "models/checkpoint/adapter.h"
#include "models/checkpoint/json_config.h"
#include "models/registry.h"

namespace palate::embedding {
namespace {

absl::StatusOr<std::unique_ptr<const Encoder>> LoadEncoder(const std::string& folder,
                                                           const EmbeddingModelOptions& options) {
  if (models::FileExists(folder + "/dual_encoder.json")) return LoadDualEncoder(folder, options);

  std::string base = folder;
  if (models::IsAdapterFolder(folder)) {
    PALATE_ASSIGN_OR_RETURN(base, models::AdapterBaseFolder(folder));
  }
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig config,
                          models::JsonConfig::Load(base + "/config.json"));
  PALATE_ASSIGN_OR_RETURN(const models::ModelFamily family, models::FindModelFamily(config));

  switch (family) {
    case models::ModelFamily::kQwen2:
    case models::ModelFamily::kQwen3:
    case models::ModelFamily::kLlama:
    case models::ModelFamily::kQwen25Vl:
    case models::ModelFamily::kQwen3Vl:
      return LoadDecoder(folder, options);
    // An adapter folder of another family has no weights; the family's loader reports that.
    case models::ModelFamily::kBert:
      return LoadSentenceEncoder(folder, options);
    case models::ModelFamily::kClip:
    case models::ModelFamily::kSiglip:
      return LoadClipEncoder(folder, family, options);
    case models::ModelFamily::kVit:
      break;
  }

  return absl::UnimplementedError(
      absl::StrCat(folder, " holds a ", models::ModelFamilyName(family),
                   " model, which is not a text encoder; supported are a dual encoder, bert, "
                   "clip, siglip, qwen2, qwen3, llama, qwen2_5_vl and qwen3_vl"));
}

}  // namespace

EmbeddingModel::EmbeddingModel(std::unique_ptr<const Encoder> encoder)
    : encoder_(std::move(encoder)) {}
EmbeddingModel::~EmbeddingModel() = default;

absl::StatusOr<std::shared_ptr<const EmbeddingModel>> EmbeddingModel::Load(
    const std::string& folder, const EmbeddingModelOptions& options) {
  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<const Encoder> encoder, LoadEncoder(folder, options));
  return FromEncoder(std::move(encoder));
}

std::shared_ptr<const EmbeddingModel> EmbeddingModel::FromEncoder(
    std::unique_ptr<const Encoder> encoder) {
  return std::shared_ptr<const EmbeddingModel>(new EmbeddingModel(std::move(encoder)));
}

const ModelInfo& EmbeddingModel::info() const { return encoder_->info(); }

}  // namespace palate::embedding
