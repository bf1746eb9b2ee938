// Which kind of ranking model a folder holds.
//
// A folder with a palate.json holds a language model that ranks lists and writes explanations
// (LlmEngine; the file names its prompt style). Any other folder is read as a published reranker
// (PointwiseReranker): its family decides between the text and the vision protocol, and loading
// fails where the vocabulary is not a reranker's. `wanted` overrules the recognition.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "ranking/engine/llm_engine.h"
#include "ranking/engine/pointwise_reranker.h"
#include "ranking/engine/ranking_model.h"

namespace palate::ranking {

struct OpenedModel {
  std::unique_ptr<RankingModel> model;
  LlmEngine* writer = nullptr;  // the model itself when it writes explanations; else null
};

// Errors as those of the two Load functions.
absl::StatusOr<OpenedModel> OpenRankingModel(const std::string& folder, RankMode wanted,
                                             const EngineOptions& engine,
                                             const RerankerOptions& reranker);

}  // namespace palate::ranking
