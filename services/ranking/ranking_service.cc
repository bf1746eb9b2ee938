#include "services/ranking/ranking_service.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "services/ranking/ranking_grpc.h"

namespace palate::services {

void RankingConfig::Bind(Config& config) {
  config.AddMap("ranking.models", &models,
                "Model folders by the model name that requests use. None: candidates are not "
                "ranked, and templates explain.");
  config.AddString("ranking.default_model", &default_model,
                   "The model for requests that name none. A pointwise reranker also reranks the "
                   "pipeline's recommendations.");
  config.AddMap(
      "ranking.model_modes", &model_modes,
      "How to read a model's folder, by model name: listwise (a folder with a palate.json) or "
      "pointwise (a published reranker). For other models the content of the folder decides.");

  config.AddInt("ranking.threads", &threads, 1, 256, "Calls in progress; they wait for the model.");
  config.AddInt("ranking.queue_limit", &queue_limit, 1, 100'000,
                "Calls that wait for a thread; more are refused.");
  config.AddInt("ranking.max_queued_rankings", &max_queued_rankings, 1, 100'000,
                "Rankings that wait or run; more are refused.");
  config.AddInt("ranking.max_queued_explanations", &max_queued_explanations, 1, 100'000,
                "Requests for explanations that wait or run; more are refused.");

  config.AddInt64("ranking.max_rank_tokens", &engine.max_rank_tokens, 64, 1 << 24,
                  "Longest prompt of one ranking, in tokens.");
  config.AddInt64("ranking.max_forward_tokens", &engine.max_forward_tokens, 64, 1 << 20,
                  "Tokens in one forward pass; longer prompts take several.");
  config.AddInt("ranking.max_new_tokens", &engine.max_new_tokens, 8, 1024,
                "Longest explanation, in tokens.");
  config.AddInt("ranking.max_attempts", &engine.max_attempts, 1, 16,
                "Texts generated for one explanation before a template replaces them.");
  config.AddDouble("ranking.temperature", &engine.temperature, 0, 2,
                   "Sampling temperature; 0 always picks the most likely token.");

  config.AddString("ranking.reranker_dtype", &reranker.dtype,
                   "Numeric type of pointwise rerankers: fp32, bf16, fp16 or auto.");
  config.AddString("ranking.reranker_device", &reranker.device,
                   "Device of pointwise rerankers: cpu, cuda, cuda:1 or auto.");
  config.AddInt64("ranking.reranker_max_rank_tokens", &reranker.max_rank_tokens, 64, 1 << 26,
                  "Maximum tokens of one request to a pointwise reranker, over all its pairs.");
  config.AddInt64("ranking.reranker_max_forward_tokens", &reranker.max_forward_tokens, 64, 1 << 20,
                  "Tokens in one forward pass of a pointwise reranker.");

  config.AddMilliseconds("ranking.stuck_after_ms", &engine.stuck_after, 10, 86'400'000,
                         "Health turns NOT_SERVING when a listwise model that has work makes no "
                         "progress for this long. Must exceed the time of one forward pass of "
                         "ranking.max_forward_tokens tokens.");
  config.AddMilliseconds(
      "ranking.reranker_stuck_after_ms", &reranker.stuck_after, 10, 86'400'000,
      "Health turns NOT_SERVING when a pointwise reranker that has work makes no "
      "progress for this long. Must exceed the time of one forward pass of "
      "ranking.reranker_max_forward_tokens tokens.");

  config.AddInt("ranking.intra_op_threads", &engine.intra_op_threads, 0, 256,
                "Threads for one matrix operation; 0: LibTorch's default.");
}

namespace {

absl::StatusOr<ranking::RankMode> ModeNamed(const std::string& mode) {
  if (mode == "listwise") return ranking::RankMode::kListwise;
  if (mode == "pointwise") return ranking::RankMode::kPointwise;
  return InvalidField("ranking.model_modes", absl::StrCat("has '", mode, "'"),
                      "listwise or pointwise");
}

// The configured models, with their modes if configured.
absl::StatusOr<std::vector<ranking::RankerConfig::Model>> ModelsOf(const RankingConfig& config) {
  std::vector<ranking::RankerConfig::Model> models;
  for (const auto& [name, folder] : config.models) models.push_back({name, folder});

  for (const auto& [name, mode] : config.model_modes) {
    const auto model = std::find_if(models.begin(), models.end(),
                                    [&](const auto& candidate) { return candidate.name == name; });
    if (model == models.end())
      return InvalidField("ranking.model_modes", absl::StrCat("names '", name, "'"),
                          "names of ranking.models");
    PALATE_ASSIGN_OR_RETURN(model->mode, ModeNamed(mode));
  }
  return models;
}

}  // namespace

absl::StatusOr<ServiceSet> MakeRankingServices(const RankingConfig& config) {
  ranking::RankerConfig ranker_config;
  PALATE_ASSIGN_OR_RETURN(ranker_config.models, ModelsOf(config));
  if (!config.models.empty()) ranker_config.default_model = config.default_model;

  ranker_config.engine = config.engine;
  ranker_config.engine.max_queued_rankings = static_cast<size_t>(config.max_queued_rankings);
  ranker_config.engine.max_queued_explanations =
      static_cast<size_t>(config.max_queued_explanations);
  ranker_config.reranker = config.reranker;
  ranker_config.reranker.intra_op_threads = config.engine.intra_op_threads;
  ranker_config.reranker.max_queued_rankings = ranker_config.engine.max_queued_rankings;

  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<ranking::Ranker> made,
                          ranking::Ranker::Create(ranker_config));

  ServiceSet set;
  const ranking::Ranker* ranker = set.Own(std::move(made));
  ThreadPool* pool =
      set.Own(std::make_unique<ThreadPool>("ranking", config.threads, config.queue_limit));

  const RpcService* service = set.Add(std::make_unique<RankingGrpc>(*ranker, *pool));
  set.AddHealthCheck(service, [ranker] { return ranker->Health(); });
  return set;
}

}  // namespace palate::services
