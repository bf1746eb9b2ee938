// Opens a ranking model of the kind that its folder contains.
//
// A folder with a palate.json, which names the prompt style, is a language model that ranks lists
// and writes explanations (LlmEngine). Any other folder is opened as a published reranker
// (PointwiseReranker): its family selects the text or the vision protocol, and loading fails if the
// vocabulary is not that of a reranker. A mode other than kOfModel overrides this.
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
  LlmEngine* writer = nullptr;  // `model` if it writes explanations, else null
};

// Has the errors of the two Load functions.
absl::StatusOr<OpenedModel> OpenRankingModel(const std::string& folder, RankMode wanted,
                                             const EngineOptions& engine,
                                             const RerankerOptions& reranker);

}  // namespace palate::ranking
