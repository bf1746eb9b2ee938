// The embedding library's answers as messages.
#pragma once

#include <string>

#include "embedding/cache/cached_vector.h"
#include "embedding/embedder.h"
#include "embedding/fetch/image_fetcher.h"
#include "embedding/model_info.h"
#include "palate/embedding/v1/embedding_service.pb.h"

namespace palate::services {

// The vectors with their spaces' calibration. REQUIRES: the result's status is OK.
palate::embedding::v1::EmbedResult ToProto(const embedding::EmbedResult& result, const embedding::ModelInfo& model);

palate::embedding::v1::ModelInfo ToProto(const std::string& name, const embedding::ModelInfo& info, bool is_default);
palate::embedding::v1::EngineStats ToProto(const std::string& model, const embedding::EmbedderStats& stats);
palate::embedding::v1::CacheStats ToProto(const embedding::CacheStats& stats);
palate::embedding::v1::FetchStats ToProto(const embedding::FetchStats& stats);

}  // namespace palate::services
