#include "services/ranking/ranking_service.h"

#include <memory>
#include <utility>

#include "base/status.h"
#include "services/ranking/ranking_grpc.h"

namespace palate::services {

void RankingConfig::Bind(Config& config) {
  config.AddMap("ranking.models", &models, "Model folders by the name that requests give. None: nothing is ranked and templates explain.");
  config.AddString("ranking.default_model", &default_model, "The model of requests that name none.");
  config.AddInt("ranking.threads", &threads, 1, 256, "Calls in progress; they wait for the model.");
  config.AddInt("ranking.queue_limit", &queue_limit, 1, 100'000, "Calls that wait for a thread; more are refused.");
  config.AddInt("ranking.max_queued_rankings", &max_queued_rankings, 1, 100'000, "Rankings that wait or run; more are refused.");
  config.AddInt("ranking.max_queued_explanations", &max_queued_explanations, 1, 100'000,
                "Requests for explanations that wait or run; more are refused.");
  config.AddInt64("ranking.max_rank_tokens", &engine.max_rank_tokens, 64, 1 << 24, "Longest prompt of one ranking, in tokens.");
  config.AddInt64("ranking.max_forward_tokens", &engine.max_forward_tokens, 64, 1 << 20,
                  "Tokens of one pass; longer prompts take several.");
  config.AddInt("ranking.max_new_tokens", &engine.max_new_tokens, 8, 1024, "Longest explanation, in tokens.");
  config.AddInt("ranking.max_attempts", &engine.max_attempts, 1, 16, "Texts drawn for one explanation before the template stands in.");
  config.AddDouble("ranking.temperature", &engine.temperature, 0, 2, "How freely words are drawn; 0 takes the likeliest one each time.");
  config.AddInt("ranking.intra_op_threads", &engine.intra_op_threads, 0, 256,
                "Threads of one matrix operation; 0 leaves LibTorch's choice.");
}

absl::StatusOr<ServiceSet> MakeRankingServices(const RankingConfig& config) {
  ranking::RankerConfig ranker_config;
  for (const auto& [name, folder] : config.models) ranker_config.models.push_back({name, folder});
  if (!config.models.empty()) ranker_config.default_model = config.default_model;
  ranker_config.engine = config.engine;
  ranker_config.engine.max_queued_rankings = static_cast<size_t>(config.max_queued_rankings);
  ranker_config.engine.max_queued_explanations = static_cast<size_t>(config.max_queued_explanations);
  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<ranking::Ranker> made, ranking::Ranker::Create(ranker_config));
  ServiceSet set;
  const ranking::Ranker* ranker = set.Own(std::move(made));
  ThreadPool* pool = set.Own(std::make_unique<ThreadPool>("ranking", config.threads, config.queue_limit));
  set.Add(std::make_unique<RankingGrpc>(*ranker, *pool));
  return set;
}

}  // namespace palate::services
