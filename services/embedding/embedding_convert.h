// Converts between EmbeddingService's messages and the embedding library's types (see
// services/convert/types_convert.h).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "embedding/cache/cached_vector.h"
#include "embedding/embedder.h"
#include "embedding/fetch/image_fetcher.h"
#include "embedding/model_info.h"
#include "palate/embedding/v1/embedding_service.pb.h"
#include "services/convert/types_convert.h"

namespace palate::services {

namespace embedding_pb = palate::embedding::v1;

// An unset role is an item's; an unset lane is the interactive one.
absl::StatusOr<embedding::EmbedRole> FromProto(embedding_pb::EmbedRole role);
absl::StatusOr<embedding::Lane> FromProto(embedding_pb::Lane lane);

embedding_pb::Calibration ToProto(const embedding::Calibration& calibration);

// The vectors with their spaces' calibration. REQUIRES: the result's status is OK.
embedding_pb::EmbedResult ToProto(const embedding::EmbedResult& result,
                                  const embedding::ModelInfo& model);

embedding_pb::ModelInfo ToProto(const std::string& name, const embedding::ModelInfo& info,
                                bool is_default);
embedding_pb::EngineStats ToProto(const std::string& model, const embedding::EmbedderStats& stats);
embedding_pb::CacheStats ToProto(const embedding::CacheStats& stats);
embedding_pb::FetchStats ToProto(const embedding::FetchStats& stats);

}  // namespace palate::services
