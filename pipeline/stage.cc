#include "pipeline/stage.h"

#include <algorithm>
#include <chrono>

#include "ranking/reasons.h"

namespace palate::pipeline {

const std::vector<float>* Candidate::FindVector(const SpaceKey& space) const {
  for (const SpaceVector& vector : record.vectors) {
    if (vector.space == space) return &vector.values;
  }
  return nullptr;
}

void RequestState::Degrade(Degradation degradation, std::string detail) {
  if (report->outcome == StageOutcome::kRan) report->outcome = StageOutcome::kDegraded;
  report->notes.push_back({degradation, std::move(detail)});
}

void RequestState::Skip(Degradation why, std::string detail) {
  report->outcome = StageOutcome::kSkipped;
  report->notes.push_back({why, std::move(detail)});
}

void RequestState::Note(Degradation degradation, std::string detail) {
  report->notes.push_back({degradation, std::move(detail)});
}

absl::Status RunStage(const Stage& stage, RequestState& state, std::vector<StageReport>& reports) {
  StageReport report;
  report.id = stage.id();
  state.report = &report;

  const auto start = std::chrono::steady_clock::now();
  absl::Status status = stage.Run(state);

  report.duration = absl::FromChrono(std::chrono::steady_clock::now() - start);
  state.report = nullptr;
  reports.push_back(std::move(report));
  return status;
}

ranking::ItemFacts FactsOf(const Item& item) {
  return {item.id, item.title, item.description, item.attributes};
}

std::vector<ranking::HistoryEntry> HistoryForRanking(const RequestState& state, int max_events) {
  std::vector<ranking::HistoryEntry> history;
  for (const ContextEvent& event : state.context.events) {
    if (static_cast<int>(history.size()) >= max_events) break;
    const ItemWithVectors* item = state.context.ItemOf(event);
    if (item == nullptr) continue;
    history.push_back({FactsOf(item->item), event.event.type, event.weight, event.event.time});
  }
  return history;
}

bool IsAnyChanging(const std::vector<SpaceModels>& spaces) {
  return std::any_of(spaces.begin(), spaces.end(),
                     [](const SpaceModels& space) { return space.IsChanging(); });
}

void KeepOneModel(const std::vector<SpaceModels>& spaces, ItemWithVectors& item) {
  const auto has = [&](const SpaceKey& space) {
    return std::any_of(item.vectors.begin(), item.vectors.end(),
                       [&](const SpaceVector& vector) { return vector.space == space; });
  };

  for (const SpaceModels& models : spaces) {
    const SpaceKey target = {models.name, models.target_fingerprint};
    if (!models.IsChanging() || !has({models.name, models.active_fingerprint})) continue;
    std::erase_if(item.vectors, [&](const SpaceVector& vector) { return vector.space == target; });
  }
}

bool IsOutage(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status) || absl::IsInternal(status) || absl::IsUnknown(status) ||
         absl::IsCancelled(status);
}

const char* SourceName(Source source) {
  switch (source) {
    case Source::kContent:
      return ranking::kContentReason;
    case Source::kContext:
      return ranking::kContextReason;
    case Source::kQuery:
      return ranking::kQueryReason;
    case Source::kTrending:
      return ranking::kTrendingReason;
    case Source::kFresh:
      return ranking::kFreshReason;
    case Source::kCaller:
      return ranking::kCallerReason;
    case Source::kCatalog:
      return ranking::kCatalogReason;
  }

  return "unknown";
}

const char* StageName(StageId id) {
  switch (id) {
    case StageId::kHydrate:
      return "hydrate";
    case StageId::kSource:
      return "source";
    case StageId::kFilter:
      return "filter";
    case StageId::kScore:
      return "score";
    case StageId::kRerank:
      return "rerank";
    case StageId::kDiversify:
      return "diversify";
    case StageId::kExplain:
      return "explain";
  }

  return "unknown";
}

const char* DegradationName(Degradation degradation) {
  switch (degradation) {
    case Degradation::kNone:
      return "none";
    case Degradation::kRetrievalUnavailable:
      return "retrieval_unavailable";
    case Degradation::kEmbeddingUnavailable:
      return "embedding_unavailable";
    case Degradation::kSpaceUnavailable:
      return "space_unavailable";
    case Degradation::kRankingUnavailable:
      return "ranking_unavailable";
    case Degradation::kDeadlineShort:
      return "deadline_short";
    case Degradation::kWeightZero:
      return "weight_zero";
    case Degradation::kNoHistory:
      return "no_history";
    case Degradation::kLittleHistory:
      return "little_history";
    case Degradation::kInputNotUsed:
      return "input_not_used";
    case Degradation::kNotRequested:
      return "not_requested";
    case Degradation::kTemplateFallback:
      return "template_fallback";
    case Degradation::kFewerThanRequested:
      return "fewer_than_requested";
    case Degradation::kNoCandidates:
      return "no_candidates";
    case Degradation::kOverloaded:
      return "overloaded";
    case Degradation::kIndexBehind:
      return "index_behind";
  }

  return "unknown";
}

}  // namespace palate::pipeline
