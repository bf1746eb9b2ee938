// The ranking service as a whole: configuration, language models, and the gRPC service over them.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "ranking/ranker.h"
#include "services/runtime/config.h"
#include "services/runtime/service_set.h"
#include "services/runtime/share.h"

namespace palate::services {

struct RankingConfig {
  std::map<std::string, std::string> models = {
      {"shopper-lm", SharedFile("models/shopper-lm")}};  // folders by name
  std::map<std::string, std::string>
      model_modes;  // "listwise" or "pointwise" by name; none: as the folder shows
  std::string default_model = "shopper-lm";
  int threads = 16;
  int queue_limit = 256;
  int max_queued_rankings = 64;
  int max_queued_explanations = 16;
  ranking::EngineOptions engine;
  ranking::RerankerOptions reranker;

  void Bind(Config& config);
};

// Loads every model; without any, candidates cannot be ranked and templates explain.
absl::StatusOr<ServiceSet> MakeRankingServices(const RankingConfig& config);

}  // namespace palate::services
