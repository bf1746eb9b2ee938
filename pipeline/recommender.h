// RecommenderService's Recommend, Search, SimilarItems and Rank over the four interfaces of
// pipeline/interfaces.h.
//
// Usage:
//   const Recommender recommender({features, embedder, retriever, ranker}, clock, {});
//   RecommendQuery query;
//   query.catalog = "shop";
//   query.user_id = "u1";
//   query.num_results = 3;
//   PALATE_ASSIGN_OR_RETURN(const RecommendResult result,
//                           recommender.Recommend(query, {.deadline = deadline}));
//   recommender.RecordImpression(query, result);
//
// Thread-safe. Borrows the four services and the clock, which must outlive it. Calls block until
// the result is ready, the deadline passes or the call is cancelled, so they must not run in an RPC
// callback.
//
// Errors: InvalidArgument with field violations for a wrong request; NotFound for an unknown
// catalog or item; FailedPrecondition for an item without a vector (SimilarItems); Unavailable when
// the feature store is down, or retrieval (Search, SimilarItems), or embedding (Search);
// DeadlineExceeded; Cancelled. Any other service that is down degrades the result, and the stage
// reports name it.
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

// Receives parts of the result before all of it is ready. Both functions are called on the thread
// that called Recommend, and may be null.
struct StreamSink {
  // Called once, with the ranked items without explanations. False ends the request with Cancelled.
  std::function<bool(const RecommendResult&)> on_ranked;
  // A piece of checked explanation text for results[result_index]. If it returns false, the
  // language model stops, and template texts replace all of its texts.
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

  // Best match first; the reason of each result is the query.
  absl::StatusOr<RecommendResult> Search(const SearchQuery& query,
                                         const CallContext& context) const;

  // The nearest neighbors of one item in one space, without the item itself.
  absl::StatusOr<RecommendResult> SimilarItems(const SimilarQuery& query,
                                               const CallContext& context) const;

  // Orders the caller's list for the user. The result has every item that is in the catalog and
  // passes the filter.
  absl::StatusOr<RecommendResult> Rank(const RankQuery& query, const CallContext& context) const;

  // Queues the impression of a result: a background thread writes it to the feature store, possibly
  // before the response has been sent. Called when the response is ready. Failures are logged, not
  // returned. Does not block. No stage report covers it.
  void RecordImpression(const RecommendQuery& query, const RecommendResult& result) const
      ABSL_LOCKS_EXCLUDED(recorder_mutex_);

  // Writes the queued impressions and returns; impressions of later calls are lost, and logged.
  // Must be called while the feature store can still be reached.
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
  mutable ThreadPool pool_;  // embeds queries
  const SourceStage source_;
  mutable Mutex recorder_mutex_;
  // Writes impressions. The last member, so that it ends before the others are destroyed. Null
  // after StopRecording().
  std::unique_ptr<ThreadPool> recorder_ ABSL_GUARDED_BY(recorder_mutex_);
};

}  // namespace palate::pipeline
