// Helpers of the loaders of all families. Internal to embedding/.
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

// The options as LibTorch types.
struct Placement {
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;

  static absl::StatusOr<Placement> From(const EmbeddingModelOptions& options);
  models::LoadOptions ForModels() const;
};

// Hex SHA-256.
std::string Digest(absl::string_view content);
// The first 16 hex digits of the SHA-256: short enough for messages.
std::string Fingerprint(absl::string_view content);

// The family's "model_type", for ModelInfo::family.
std::string FamilyId(models::ModelFamily family);

// A ModelInfo with name, folder, family, dtype and device filled in.
ModelInfo NewInfo(const std::string& folder, absl::string_view family, const Placement& placement);

// For ModelInfo::pooling.
std::string PoolingName(models::TextPooling pooling);
// Logs what had to be assumed about the folder: the pooling, and that unknown keys mean nothing.
void WarnOfAssumptions(const ModelInfo& info);

// InvalidArgument or Unimplemented when the options of a two-tower model contain an adapter or a
// token limit, which only decoders have, or a pixel budget, which only vision-language models have.
absl::Status RefuseDecoderOptions(const EmbeddingModelOptions& options, absl::string_view family);
absl::Status RefusePixelBudget(const EmbeddingModelOptions& options, absl::string_view family);

// One loader per kind of folder; EmbeddingModel::Load chooses.
absl::StatusOr<std::unique_ptr<Encoder>> LoadDualEncoder(const std::string& folder,
                                                         const EmbeddingModelOptions& options);
absl::StatusOr<std::unique_ptr<Encoder>> LoadSentenceEncoder(const std::string& folder,
                                                             const EmbeddingModelOptions& options);
absl::StatusOr<std::unique_ptr<Encoder>> LoadClipEncoder(const std::string& folder,
                                                         models::ModelFamily family,
                                                         const EmbeddingModelOptions& options);
absl::StatusOr<std::unique_ptr<Encoder>> LoadDecoder(const std::string& folder,
                                                     const EmbeddingModelOptions& options);

}  // namespace palate::embedding
