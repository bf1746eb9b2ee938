#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "pipeline/recommend_stages.h"
#include "ranking/blend.h"
#include "ranking/preferences.h"

namespace palate::pipeline {
namespace {

// The catalog's weight, less for a user with few informative events.
double WeightFor(const RequestState& state, const std::vector<ranking::HistoryEntry>& history) {
  const double largest = ranking::MaxAbsoluteWeight(history);
  const int64_t informative =
      std::count_if(history.begin(), history.end(), [&](const ranking::HistoryEntry& entry) {
        return ranking::EngagementOf(entry.weight, largest) != ranking::Engagement::kPassing;
      });
  return ranking::GatedWeight(state.context.catalog.rerank_weight, static_cast<int>(informative));
}

// The reason to skip the language model; kNone when it is asked.
Degradation WhyNot(const RequestState& state, absl::Duration remaining,
                   const PipelineOptions& options) {
  if (state.candidates.empty()) return Degradation::kNoCandidates;
  if (state.context.catalog.rerank_weight <= 0) return Degradation::kWeightZero;
  if (state.rerank_weight <= 0) return Degradation::kNoHistory;
  if (remaining < options.min_rerank_time) return Degradation::kDeadlineShort;
  return Degradation::kNone;
}

Degradation CauseOf(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) ? Degradation::kDeadlineShort
                                          : Degradation::kRankingUnavailable;
}

}  // namespace

absl::Status RerankStage::Run(RequestState& state) const {
  const absl::Duration remaining = state.call.deadline - clock_.Now() - options_.rerank_reserve;
  ranking::RankInput input;
  input.history = HistoryForRanking(state, options_.max_events);
  state.rerank_weight = WeightFor(state, input.history);

  const Degradation why_not = WhyNot(state, remaining, options_);
  if (why_not != Degradation::kNone) {
    state.rerank_weight = 0;
    state.Skip(why_not, absl::StrCat(state.candidates.size(), " candidates, ",
                                     absl::FormatDuration(remaining), " left"));
    return absl::OkStatus();
  }

  const size_t head = std::min<size_t>(state.candidates.size(), options_.rerank_candidates);
  input.instruction = state.query.instruction;
  std::vector<double> first_stage;
  for (size_t i = 0; i < head; ++i) {
    input.candidates.push_back(FactsOf(state.candidates[i].record.item));
    first_stage.push_back(state.candidates[i].relevance_score);
  }

  const absl::StatusOr<ranking::RankOutput> output =
      ranker_.Rank(input, state.call.WithDeadline(state.call.deadline - options_.rerank_reserve));
  if (!output.ok()) {
    if (!IsOutage(output.status())) return output.status();
    state.rerank_weight = 0;
    state.Skip(CauseOf(output.status()), output.status().ToString());
    return absl::OkStatus();
  }
  if (output->scores.size() != head) {
    return absl::InternalError(
        absl::StrCat("the ranker scored ", output->scores.size(), " of ", head, " candidates"));
  }

  state.ranking_fingerprint = output->model_fingerprint;
  PALATE_ASSIGN_OR_RETURN(const std::vector<double> blended,
                          ranking::Blend(first_stage, output->scores, state.rerank_weight));

  for (size_t i = 0; i < head; ++i) {
    state.candidates[i].rerank_score = output->scores[i];
    state.candidates[i].score = blended[i];
  }
  std::sort(state.candidates.begin(), state.candidates.begin() + head,
            [](const Candidate& a, const Candidate& b) {
              return a.score != b.score ? a.score > b.score : a.item_id < b.item_id;
            });
  return absl::OkStatus();
}

}  // namespace palate::pipeline
