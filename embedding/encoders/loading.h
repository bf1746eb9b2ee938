// What the loaders of all families share. Internal to embedding/.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "embedding/embedding_model.h"
#include "embedding/encoder.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/parameters.h"
#include "models/families/bert/sentence_layout.h"
#include "models/registry.h"

namespace palate::embedding {

// The options in LibTorch's terms.
struct Placement {
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;

  static absl::StatusOr<Placement> From(const EmbeddingModelOptions& options);
  models::LoadOptions ForModels() const;
};

// Hex SHA-256.
std::string Digest(absl::string_view content);
// A digest short enough for messages: 16 hex digits of the SHA-256.
std::string Fingerprint(absl::string_view content);

// As ModelInfo::family has it: the family's "model_type".
std::string FamilyId(models::ModelFamily family);

// Name, folder, type and device filled in.
ModelInfo NewInfo(const std::string& folder, absl::string_view family, const Placement& placement);

// As ModelInfo::pooling has it.
std::string PoolingName(models::TextPooling pooling);

// Errors when options ask a model of towers for what only decoders can do (adapter, limit) or only
// vision-language models (pixel budget).
absl::Status RefuseDecoderOptions(const EmbeddingModelOptions& options, absl::string_view family);
absl::Status RefusePixelBudget(const EmbeddingModelOptions& options, absl::string_view family);

// One loader for each kind of folder; EmbeddingModel::Load chooses.
absl::StatusOr<std::unique_ptr<const Encoder>> LoadDualEncoder(
    const std::string& folder, const EmbeddingModelOptions& options);
absl::StatusOr<std::unique_ptr<const Encoder>> LoadSentenceEncoder(
    const std::string& folder, const EmbeddingModelOptions& options);
absl::StatusOr<std::unique_ptr<const Encoder>> LoadClipEncoder(
    const std::string& folder, models::ModelFamily family, const EmbeddingModelOptions& options);
absl::StatusOr<std::unique_ptr<const Encoder>> LoadDecoder(const std::string& folder,
                                                           const EmbeddingModelOptions& options);

}  // namespace palate::embedding
