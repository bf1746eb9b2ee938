// The complete ranking service: configuration, language models and the gRPC service.
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
  // "listwise" or "pointwise" by name; for other models the folder decides.
  std::map<std::string, std::string> model_modes;
  std::string default_model = "shopper-lm";
  int threads = 16;
  int queue_limit = 256;
  int max_queued_rankings = 64;
  int max_queued_explanations = 16;
  ranking::EngineOptions engine;
  ranking::RerankerOptions reranker;

  void Bind(Config& config);
};

// Loads every model. Without models, candidates cannot be ranked, and templates explain. A model
// that hangs turns the health of RankingService and of its server NOT_SERVING.
absl::StatusOr<ServiceSet> MakeRankingServices(const RankingConfig& config);

}  // namespace palate::services
