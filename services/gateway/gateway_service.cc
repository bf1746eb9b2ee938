#include "services/gateway/gateway_service.h"

#include <memory>

#include "base/clock.h"
#include "base/status.h"
#include "domain/limits.h"
#include "pipeline/recommender.h"
#include "services/clients/embedding_client.h"
#include "services/clients/feature_store_client.h"
#include "services/clients/ranking_client.h"
#include "services/clients/retrieval_client.h"
#include "services/gateway/catalog_proxy.h"
#include "services/gateway/recommender_grpc.h"

namespace palate::services {
namespace {

constexpr int kCatalogThreads = 2;

void BindPipeline(GatewayConfig& own, Config& config) {
  pipeline::PipelineOptions& options = own.pipeline;
  config.AddInt("pipeline.max_events", &options.max_events, 1, kMaxUserEvents,
                "Events of the user that one request reads, newest first.");
  config.AddInt("pipeline.candidates_per_source", &options.candidates_per_source, 10, 500,
                "Candidates requested from each source.");
  config.AddInt(
      "pipeline.rerank_candidates", &options.rerank_candidates, 1, kMaxCandidates,
      "Candidates that the language model reranks; the rest follow in first-stage order.");
  config.AddInt("pipeline.max_llm_explanations", &options.max_llm_explanations, 0, kMaxExplanations,
                "Results that the language model explains; templates explain the rest.");

  config.AddMilliseconds("pipeline.source_budget_ms", &options.source_budget, 1, 60'000,
                         "Time limit for retrieval and for embedding the query; late results are "
                         "left out, and the response reports it.");
  config.AddMilliseconds("pipeline.rerank_reserve_ms", &options.rerank_reserve, 0, 60'000,
                         "Time reserved before the deadline for the stages after reranking.");
  config.AddMilliseconds("pipeline.default_deadline_ms", &own.default_timeout, 1, 600'000,
                         "Timeout of calls without a deadline.");

  config.AddInt("pipeline.max_centroids", &options.user_model.max_centroids, 1, 32,
                "Maximum number of interests per space.");
  config.AddDouble("pipeline.join_similarity", &options.user_model.join_similarity, -1, 1,
                   "Minimum cosine similarity for an item to join an existing interest.");
  config.AddMilliseconds(
      "pipeline.half_life_ms", &options.user_model.half_life, 1000, 3'153'600'000'000,
      "An event that is older than the user's newest one by this time counts half.");

  pipeline::ScoreWeights& weights = options.score;
  config.AddDouble("pipeline.score.text_interest", &weights.text_interest, 0, 100,
                   "Weight of similarity to what the user liked, by text.");
  config.AddDouble("pipeline.score.image_interest", &weights.image_interest, 0, 100,
                   "Weight of similarity to what the user liked, by image.");
  config.AddDouble("pipeline.score.dislike", &weights.dislike, 0, 100,
                   "Weight of similarity to what the user disliked; subtracted.");
  config.AddDouble("pipeline.score.query", &weights.query, 0, 100,
                   "Weight of similarity to the query.");
  config.AddDouble("pipeline.score.query_image", &weights.query_image, 0, 100,
                   "Weight of the match between a query's words and a picture where a text matches "
                   "too, relative to the text; 0: words are not compared with pictures.");
  config.AddDouble("pipeline.score.context", &weights.context, 0, 100,
                   "Weight of similarity to the context items.");
  config.AddDouble("pipeline.score.trending", &weights.trending, 0, 100,
                   "Weight of recent popularity.");
  config.AddDouble("pipeline.score.fresh", &weights.fresh, 0, 100, "Weight of freshness.");
}

// The pipeline's parts.
struct Clients {
  explicit Clients(const GatewayChannels& channels)
      : features(channels.feature_store),
        embedder(channels.embedding),
        retriever(channels.retrieval),
        ranker(channels.ranking) {}

  FeatureStoreClient features;
  EmbeddingClient embedder;
  RetrievalClient retriever;
  RankingClient ranker;
  SystemClock clock;
};

}  // namespace

void GatewayConfig::Bind(Config& config) {
  config.AddString("gateway.feature_store", &feature_store,
                   "Address of the feature store, host:port.");
  config.AddString("gateway.embedding", &embedding, "Address of the embedding service, host:port.");
  config.AddString("gateway.retrieval", &retrieval, "Address of the retrieval service, host:port.");
  config.AddString("gateway.ranking", &ranking, "Address of the ranking service, host:port.");

  config.AddInt("gateway.threads", &threads, 1, 1024,
                "Requests in progress; they mostly wait for the other services.");
  config.AddInt("gateway.queue_limit", &queue_limit, 1, 100'000,
                "Requests that wait for a thread; more are refused with RESOURCE_EXHAUSTED.");
  BindPipeline(*this, config);
}

GatewayChannels DialParts(const GatewayConfig& config) {
  return {TcpChannel(config.feature_store), TcpChannel(config.embedding),
          TcpChannel(config.retrieval), TcpChannel(config.ranking)};
}

absl::StatusOr<ServiceSet> MakeRecommenderServices(const GatewayConfig& config,
                                                   const GatewayChannels& channels) {
  ServiceSet set;
  Clients* clients = set.Own(std::make_unique<Clients>(channels));
  const pipeline::RecommenderParts parts{clients->features, clients->embedder, clients->retriever,
                                         clients->ranker};

  pipeline::Recommender* recommender =
      set.Own(std::make_unique<pipeline::Recommender>(parts, clients->clock, config.pipeline));
  // In one process, the feature store's channel ends with the server.
  set.OnStopping([recommender] { recommender->StopRecording(); });

  ThreadPool* pool =
      set.Own(std::make_unique<ThreadPool>("gateway", config.threads, config.queue_limit));
  set.Add(std::make_unique<RecommenderGrpc>(*recommender, channels.feature_store,
                                            config.default_timeout, *pool));
  return set;
}

absl::StatusOr<ServiceSet> MakeGatewayServices(const GatewayConfig& config) {
  const GatewayChannels channels = DialParts(config);
  PALATE_ASSIGN_OR_RETURN(ServiceSet set, MakeRecommenderServices(config, channels));

  ThreadPool* pool =
      set.Own(std::make_unique<ThreadPool>("catalogs", kCatalogThreads, config.queue_limit));
  set.Add(std::make_unique<CatalogProxy>(channels.feature_store, config.default_timeout, *pool));
  return set;
}

}  // namespace palate::services
