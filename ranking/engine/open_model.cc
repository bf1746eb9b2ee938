#include "ranking/engine/open_model.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "base/status.h"
#include "models/checkpoint/adapter.h"
#include "models/checkpoint/config_keys.h"
#include "models/checkpoint/json_config.h"

namespace palate::ranking {
namespace {

RankMode Recognize(const std::string& folder) {
  return models::FileExists(absl::StrCat(folder, "/", kPalateFile)) ? RankMode::kListwise
                                                                    : RankMode::kPointwise;
}

// Logs the keys of config.json that have no effect because nobody knows them.
absl::Status WarnOfUnknownKeys(const std::string& folder) {
  std::string base = folder;
  if (models::IsAdapterFolder(folder)) {
    PALATE_ASSIGN_OR_RETURN(base, models::AdapterBaseFolder(folder));
  }
  PALATE_ASSIGN_OR_RETURN(const models::JsonConfig config,
                          models::JsonConfig::Load(models::InFolder(base, "config.json")));
  const std::vector<std::string> unknown = models::UnknownConfigKeys(config);
  if (!unknown.empty()) {
    spdlog::warn(
        "language model {}: config.json sets keys that are not known and have no effect: {}",
        folder, absl::StrJoin(unknown, ", "));
  }
  return absl::OkStatus();
}

absl::StatusOr<OpenedModel> Load(const std::string& folder, RankMode wanted,
                                 const EngineOptions& engine, const RerankerOptions& reranker) {
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

}  // namespace

absl::StatusOr<OpenedModel> OpenRankingModel(const std::string& folder, RankMode wanted,
                                             const EngineOptions& engine,
                                             const RerankerOptions& reranker) {
  PALATE_ASSIGN_OR_RETURN(OpenedModel opened, Load(folder, wanted, engine, reranker));
  PALATE_RETURN_IF_ERROR(WarnOfUnknownKeys(folder));
  return opened;
}

}  // namespace palate::ranking
