// The eight stages of RecommenderService.Recommend. See pipeline/stage.h for the contract that they
// share.
#pragma once

#include "base/clock.h"
#include "base/thread_pool.h"
#include "domain/catalog.h"
#include "pipeline/options.h"
#include "pipeline/stage.h"

namespace palate::pipeline {

// 1. One call to the feature store: the user's events, what they have seen, trending and fresh
// items. Then the user model, the parsed filter and the exclusions. Unavailable when the feature
// store is.
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

// 2. Candidates from interests (content), from the items at hand (context), from the query,
// trending and fresh. Embedding and retrieval run side by side on `pool`, each within
// options.source_budget. Retrieval gets two requests at most: interest and context in one, and the
// query's vectors in another, which has to wait for the embedding.
class SourceStage final : public Stage {
 public:
  SourceStage(QueryEmbedder& embedder, Retriever& retriever, ThreadPool& pool, const Clock& clock,
              const PipelineOptions& options)
      : embedder_(embedder), retriever_(retriever), pool_(pool), clock_(clock), options_(options) {}
  StageId id() const override { return StageId::kSource; }
  absl::Status Run(RequestState& state) const override;

 private:
  QueryEmbedder& embedder_;
  Retriever& retriever_;
  ThreadPool& pool_;
  const Clock& clock_;
  const PipelineOptions& options_;
};

// 3. Fetches the candidates' facts and drops what is hidden, expired, seen, excluded or outside the
// request's filter.
class FilterStage final : public Stage {
 public:
  explicit FilterStage(FeatureReader& features) : features_(features) {}
  StageId id() const override { return StageId::kFilter; }
  absl::Status Run(RequestState& state) const override;

  // Whether the item may be shown to this request. The recommender asks once more before it
  // answers.
  static bool Admits(const RequestState& state, const Item& item);

 private:
  FeatureReader& features_;
};

// 4. Adds up the standardized signals of options.score and orders by the sum.
class ScoreStage final : public Stage {
 public:
  explicit ScoreStage(const PipelineOptions& options) : options_(options) {}
  StageId id() const override { return StageId::kScore; }
  absl::Status Run(RequestState& state) const override;

 private:
  const PipelineOptions& options_;
};

// The score of a plain search: the calibrated match with the query alone, summed over its spaces.
// Orders state.candidates by it.
void ScoreByQuery(RequestState& state);

// 5. The language model orders the head of the list; its log-odds are blended with the first-stage
// score by the catalog's weight.
class RerankStage final : public Stage {
 public:
  RerankStage(CandidateRanker& ranker, const Clock& clock, const PipelineOptions& options)
      : ranker_(ranker), clock_(clock), options_(options) {}
  StageId id() const override { return StageId::kRerank; }
  absl::Status Run(RequestState& state) const override;

 private:
  CandidateRanker& ranker_;
  const Clock& clock_;
  const PipelineOptions& options_;
};

// 6. Maximal marginal relevance, attribute caps and exploration; then cuts to the wanted number.
class DiversifyStage final : public Stage {
 public:
  StageId id() const override { return StageId::kDiversify; }
  absl::Status Run(RequestState& state) const override;
};

// 7. Texts with evidence. `on_text` may be null; see CandidateRanker::Explain.
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
