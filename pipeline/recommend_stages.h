// The seven stages of RecommenderService.Recommend, in the order in which they run. Recording the
// impression is not a stage; see Recommender::RecordImpression. pipeline/stage.h has the contract
// that all stages share.
#pragma once

#include "base/clock.h"
#include "base/thread_pool.h"
#include "domain/catalog.h"
#include "pipeline/options.h"
#include "pipeline/stage.h"

namespace palate::pipeline {

class CandidateSet;

// How many trending and fresh items are considered.
int NumTrending(const RequestState& state, const PipelineOptions& options);
int NumFresh(const RequestState& state, const PipelineOptions& options);

// 1. Reads the user's events, seen items, trending and fresh items in one call to the feature
// store, and the items of the session and the context in one call each. Then builds the user model,
// parses the filter and collects the exclusions. Fails when the feature store is down.
class HydrateStage final : public Stage {
 public:
  HydrateStage(FeatureReader& features, const PipelineOptions& options)
      : features_(features), options_(options) {}
  StageId id() const override { return StageId::kHydrate; }
  absl::Status Run(RequestState& state) const override;

 private:
  absl::Status AddSessionEvents(RequestState& state) const;
  absl::Status AddContextItems(RequestState& state) const;

  FeatureReader& features_;
  const PipelineOptions& options_;
};

// 2. Collects candidates from the user's interests (content), the context items, the query,
// trending and fresh items. The query is embedded on `pool` while the calling thread searches; both
// end within options.source_budget. Retrieval receives three requests at most: one for interests,
// context items and the lists, one for the query's vectors, which waits for the embedding, and, if
// fewer items were found than requested, one for any items of the catalog. Filter and exclusions
// apply before a source is cut. When retrieval is down, the filter stage applies them to longer
// lists.
class SourceStage final : public Stage {
 public:
  SourceStage(QueryEmbedder& embedder, Retriever& retriever, ThreadPool& pool, const Clock& clock,
              const PipelineOptions& options)
      : embedder_(embedder), retriever_(retriever), pool_(pool), clock_(clock), options_(options) {}
  StageId id() const override { return StageId::kSource; }
  absl::Status Run(RequestState& state) const override;

 private:
  // Interests and context items; and cuts the lists of trending and fresh items to what may be
  // shown.
  void SearchInterests(RetrievalRequest& request, RequestState& state, CandidateSet& candidates,
                       const CallContext& context) const;

  QueryEmbedder& embedder_;
  Retriever& retriever_;
  ThreadPool& pool_;
  const Clock& clock_;
  const PipelineOptions& options_;
};

// 3. Fetches the candidates' facts and drops items that are hidden, expired, seen, excluded or
// outside the request's filter. Fails when the feature store is down.
class FilterStage final : public Stage {
 public:
  explicit FilterStage(FeatureReader& features) : features_(features) {}
  StageId id() const override { return StageId::kFilter; }
  absl::Status Run(RequestState& state) const override;

  // Whether the item may be in the result. The recommender checks every item again before it
  // returns the result.
  static bool Admits(const RequestState& state, const Item& item);

 private:
  FeatureReader& features_;
};

// 4. Adds up the standardized signals, weighted by options.score, and orders by the sum.
class ScoreStage final : public Stage {
 public:
  explicit ScoreStage(const PipelineOptions& options) : options_(options) {}
  StageId id() const override { return StageId::kScore; }
  absl::Status Run(RequestState& state) const override;

 private:
  const PipelineOptions& options_;
};

// Orders state.candidates by the score of a plain search: the calibrated match with the query
// alone, summed over its spaces.
void ScoreByQuery(RequestState& state, const ScoreWeights& weights);

// 5. The language model orders the head of the list; its log-odds are blended with the first-stage
// score by the catalog's weight. Candidates that the model did not score follow in their
// first-stage order, with scores below all of the head's. No error of the model fails the request.
class RerankStage final : public Stage {
 public:
  RerankStage(CandidateRanker& ranker, const Clock& clock, const PipelineOptions& options)
      : ranker_(ranker), clock_(clock), options_(options) {}
  StageId id() const override { return StageId::kRerank; }
  absl::Status Run(RequestState& state) const override;

 private:
  // Skips the stage: the first-stage order stands.
  static absl::Status Without(RequestState& state, Degradation why, std::string detail);

  CandidateRanker& ranker_;
  const Clock& clock_;
  const PipelineOptions& options_;
};

// 6. Applies maximal marginal relevance, attribute caps and exploration, and cuts the list to the
// requested number of results. Where the model ordered a part of the list, all of that part goes
// before the rest.
class DiversifyStage final : public Stage {
 public:
  StageId id() const override { return StageId::kDiversify; }
  absl::Status Run(RequestState& state) const override;
};

// 7. Gives every result an explanation. `on_text` may be null; see CandidateRanker::Explain.
class ExplainStage final : public Stage {
 public:
  ExplainStage(CandidateRanker& ranker, const Clock& clock, const PipelineOptions& options,
               CandidateRanker::OnText on_text)
      : ranker_(ranker), clock_(clock), options_(options), on_text_(std::move(on_text)) {}
  StageId id() const override { return StageId::kExplain; }
  absl::Status Run(RequestState& state) const override;

 private:
  void ExplainWithModel(RequestState& state,
                        const std::vector<ranking::ExplainInput>& inputs) const;

  CandidateRanker& ranker_;
  const Clock& clock_;
  const PipelineOptions& options_;
  const CandidateRanker::OnText on_text_;
};

}  // namespace palate::pipeline
