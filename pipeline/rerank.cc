#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "pipeline/recommend_stages.h"
#include "ranking/blend.h"
#include "ranking/preferences.h"

namespace palate::pipeline {
namespace {

// Between the last candidate that the model ordered and the first that it did not, in deviations.
constexpr double kGap = 1e-3;

// Events that tell the model about the user's taste.
int InformativeEvents(const std::vector<ranking::HistoryEntry>& history) {
  const double largest = ranking::MaxAbsoluteWeight(history);
  return static_cast<int>(
      std::count_if(history.begin(), history.end(), [&](const ranking::HistoryEntry& entry) {
        return ranking::EngagementOf(entry.weight, largest) != ranking::Engagement::kPassing;
      }));
}

// The reason to skip the language model; kNone when it is asked.
Degradation WhyNot(const RequestState& state, int informative, absl::Duration remaining,
                   const PipelineOptions& options) {
  if (state.candidates.empty()) return Degradation::kNoCandidates;
  if (state.context.catalog.rerank_weight <= 0) return Degradation::kWeightZero;
  if (state.rerank_weight <= 0)
    return informative == 0 ? Degradation::kNoHistory : Degradation::kLittleHistory;
  if (remaining < options.min_rerank_time) return Degradation::kDeadlineShort;
  return Degradation::kNone;
}

Degradation CauseOf(const absl::Status& status) {
  if (absl::IsDeadlineExceeded(status)) return Degradation::kDeadlineShort;
  return absl::IsResourceExhausted(status) ? Degradation::kOverloaded
                                           : Degradation::kRankingUnavailable;
}

// What the model is asked about the first `head` candidates.
ranking::RankInput InputFor(const RequestState& state, std::vector<ranking::HistoryEntry> history,
                            size_t head) {
  ranking::RankInput input;
  input.history = std::move(history);
  input.instruction = state.query.instruction;
  if (!state.query.query.text.empty()) input.query = ranking::RankContent{state.query.query.text};
  for (size_t i = 0; i < head; ++i)
    input.candidates.push_back(FactsOf(state.candidates[i].record.item));
  return input;
}

// Notes what the model could not use of the request.
void NoteUnused(RequestState& state, std::vector<std::string> unused) {
  if (!state.query.query.image.empty()) unused.push_back("query.image");
  if (unused.empty()) return;
  state.Note(Degradation::kInputNotUsed,
             absl::StrCat("the ranking model does not use: ", absl::StrJoin(unused, ", ")));
}

// Orders the candidates that have a score by the blend of both scores, before those that have none,
// which keep their first-stage order. The scores of the latter continue below the least blended
// score, in deviations of the former's first-stage scores: one scale, so that nothing the model did
// not see passes what it ordered.
absl::Status OrderByModel(RequestState& state, const std::vector<float>& scores) {
  std::vector<Candidate> ordered;
  std::vector<Candidate> rest;
  std::vector<double> first_stage;
  std::vector<float> model;
  for (size_t i = 0; i < state.candidates.size(); ++i) {
    Candidate& candidate = state.candidates[i];
    if (i >= scores.size() || !std::isfinite(scores[i])) {
      rest.push_back(std::move(candidate));
      continue;
    }
    candidate.rerank_score = scores[i];
    first_stage.push_back(candidate.relevance_score);
    model.push_back(scores[i]);
    ordered.push_back(std::move(candidate));
  }

  PALATE_ASSIGN_OR_RETURN(const std::vector<double> blended,
                          ranking::Blend(first_stage, model, state.rerank_weight));
  for (size_t i = 0; i < ordered.size(); ++i) ordered[i].score = blended[i];
  std::sort(ordered.begin(), ordered.end(), [](const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score > b.score : a.item_id < b.item_id;
  });

  if (!rest.empty()) {
    const double deviation = ranking::DeviationOf(first_stage);
    const double scale = deviation > 0 ? deviation : 1;
    const double best = rest.front().relevance_score;
    for (Candidate& candidate : rest) {
      candidate.score = ordered.back().score - kGap - (best - candidate.relevance_score) / scale;
    }
  }

  state.candidates = std::move(ordered);
  std::move(rest.begin(), rest.end(), std::back_inserter(state.candidates));
  return absl::OkStatus();
}

}  // namespace

absl::Status RerankStage::Run(RequestState& state) const {
  const absl::Duration remaining = state.call.deadline - clock_.Now() - options_.rerank_reserve;
  std::vector<ranking::HistoryEntry> history = HistoryForRanking(state, options_.max_events);
  const int informative = InformativeEvents(history);
  state.rerank_weight = ranking::GatedWeight(state.context.catalog.rerank_weight, informative);

  const Degradation why_not = WhyNot(state, informative, remaining, options_);
  if (why_not != Degradation::kNone) {
    state.rerank_weight = 0;
    state.Skip(why_not,
               absl::StrCat(state.candidates.size(), " candidates, ", informative,
                            " telling events, ", absl::FormatDuration(remaining), " left"));
    return absl::OkStatus();
  }

  const size_t head = std::min<size_t>(state.candidates.size(), options_.rerank_candidates);
  const absl::StatusOr<ranking::RankOutput> output =
      ranker_.Rank(InputFor(state, std::move(history), head),
                   state.call.WithDeadline(state.call.deadline - options_.rerank_reserve));
  // No error of the model is one of the request: without its scores the first-stage order stands.
  if (!output.ok()) return Without(state, CauseOf(output.status()), output.status().ToString());
  if (output->scores.size() != head) {
    return Without(
        state, Degradation::kRankingUnavailable,
        absl::StrCat("the ranker scored ", output->scores.size(), " of ", head, " candidates"));
  }

  const auto scored =
      static_cast<size_t>(std::count_if(output->scores.begin(), output->scores.end(),
                                        [](float score) { return std::isfinite(score); }));
  std::string missing = absl::StrCat(head - scored, " of ", head, " candidates have no score");
  if (!output->failures.empty())
    absl::StrAppend(&missing, ": ", output->failures.front().status.message());
  if (scored == 0) return Without(state, Degradation::kRankingUnavailable, std::move(missing));

  state.ranking_fingerprint = output->model_fingerprint;
  PALATE_RETURN_IF_ERROR(OrderByModel(state, output->scores));

  if (scored < head) state.Degrade(Degradation::kRankingUnavailable, std::move(missing));
  NoteUnused(state, output->unused_fields);
  return absl::OkStatus();
}

absl::Status RerankStage::Without(RequestState& state, Degradation why, std::string detail) {
  state.rerank_weight = 0;
  state.Skip(why, std::move(detail));
  return absl::OkStatus();
}

}  // namespace palate::pipeline
