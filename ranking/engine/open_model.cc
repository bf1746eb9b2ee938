#include "ranking/engine/open_model.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/json_config.h"

namespace palate::ranking {
namespace {

RankMode Recognize(const std::string& folder) {
  return models::FileExists(absl::StrCat(folder, "/", kPalateFile)) ? RankMode::kListwise
                                                                    : RankMode::kPointwise;
}

}  // namespace

absl::StatusOr<OpenedModel> OpenRankingModel(const std::string& folder, RankMode wanted,
                                             const EngineOptions& engine,
                                             const RerankerOptions& reranker) {
  const RankMode mode = wanted == RankMode::kOfModel ? Recognize(folder) : wanted;
  OpenedModel opened;
  if (mode == RankMode::kPointwise) {
    absl::StatusOr<std::unique_ptr<PointwiseReranker>> loaded =
        PointwiseReranker::Load(folder, reranker);
    if (!loaded.ok()) return Annotate(loaded.status(), "loaded as a pointwise reranker");
    opened.model = *std::move(loaded);
    return opened;
  }

  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<LlmEngine> loaded, LlmEngine::Load(folder, engine));
  opened.writer = loaded.get();
  opened.model = std::move(loaded);
  return opened;
}

}  // namespace palate::ranking
