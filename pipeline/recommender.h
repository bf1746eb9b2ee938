// The request's life: RecommenderService's Recommend, Search, SimilarItems and Rank over the four
// interfaces of pipeline/interfaces.h.
//
// Thread-safe after construction. Borrows the four parts and the clock, which must outlive it.
// Calls block until they are answered, until their deadline or until their cancellation, so they
// belong on a pool of their own, never in an RPC callback.
//
// Errors: InvalidArgument with field violations for a wrong request; NotFound for an unknown
// catalog or item; Unavailable when the feature store is down (or, for Search, embedding or
// retrieval). Everything else that is down degrades the answer and is named in its stages.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/call_context.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/thread_pool.h"
#include "pipeline/interfaces.h"
#include "pipeline/options.h"
#include "pipeline/recommend_stages.h"
#include "pipeline/request.h"

namespace palate::pipeline {

struct RecommenderParts {
  FeatureReader& features;
  QueryEmbedder& embedder;
  Retriever& retriever;
  CandidateRanker& ranker;
};

// What a streaming caller hears before the whole answer is there, from the calling thread. Both may
// be null.
struct StreamSink {
  // The ranked items, once, without explanations. False stops the request with Cancelled.
  std::function<bool(const RecommendResult&)> on_ranked;
  // Pieces of checked explanation text for results[result_index]. False stops generating.
  std::function<bool(size_t result_index, const std::string& piece)> on_text;
};

class Recommender {
 public:
  Recommender(RecommenderParts parts, const Clock& clock, PipelineOptions options);
  ~Recommender();

  absl::StatusOr<RecommendResult> Recommend(const RecommendQuery& query, const StreamSink& sink,
                                            const CallContext& context) const;
  absl::StatusOr<RecommendResult> Recommend(const RecommendQuery& query,
                                            const CallContext& context) const;

  // Best first; each result's reason is the query.
  absl::StatusOr<RecommendResult> Search(const SearchQuery& query,
                                         const CallContext& context) const;

  // Neighbors of one item in one space, without the item itself.
  absl::StatusOr<RecommendResult> SimilarItems(const SimilarQuery& query,
                                               const CallContext& context) const;

  // The caller's own list in the order that suits the user. Everything that the filter admits comes
  // back.
  absl::StatusOr<RecommendResult> Rank(const RankQuery& query, const CallContext& context) const;

  // Stage 8, called after the answer went out: keeps what was shown. Failures are logged, never
  // returned. Does not block.
  void RecordImpression(const RecommendQuery& query, const RecommendResult& result) const
      ABSL_LOCKS_EXCLUDED(recorder_mutex_);

  // Writes the impressions that wait; later ones are lost, and logged. To be called while the
  // feature store can still be reached: an impression that is written in the background must not
  // outlive the way to it.
  void StopRecording() ABSL_LOCKS_EXCLUDED(recorder_mutex_);

 private:
  // Runs score, rerank and diversify over state.candidates.
  absl::Status Order(RequestState& state, std::vector<StageReport>& reports) const;
  absl::Status Explain(RequestState& state, RecommendResult& result, const StreamSink& sink) const;
  // Borrows `query`, which must outlive the state.
  RequestState NewState(const RecommendQuery& query, const CallContext& context) const;

  const RecommenderParts parts_;
  const Clock& clock_;
  const PipelineOptions options_;
  const HydrateStage hydrate_;
  const FilterStage filter_;
  const ScoreStage score_;
  const RerankStage rerank_;
  const DiversifyStage diversify_;
  mutable ThreadPool pool_;  // of query embeddings
  const SourceStage source_;
  mutable Mutex recorder_mutex_;
  std::unique_ptr<ThreadPool> recorder_ ABSL_GUARDED_BY(
      recorder_mutex_);  // of impressions; last, so that they end before the rest goes
};

}  // namespace palate::pipeline
