#include "pipeline/recommender.h"

#include <random>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "pipeline/validate.h"

namespace palate::pipeline {
namespace {

constexpr int kPoolThreads = 4;
constexpr int kRecorderThreads = 2;
constexpr size_t kPoolQueue = 1024;

// 128 random bits in hex, so that an id cannot be guessed by someone who never received it.
std::string NewRecommendationId() {
  thread_local std::random_device entropy;
  std::string bytes;
  for (int i = 0; i < 4; ++i) AppendBigEndian32(entropy(), bytes);
  return absl::BytesToHexString(bytes);
}

ResultItem ToResult(const Candidate& candidate) {
  ResultItem result;
  result.item = candidate.record.item;
  result.score = candidate.score;
  result.relevance_score = candidate.relevance_score;
  result.rerank_score = candidate.rerank_score;
  result.reasons = candidate.reasons;
  result.explanation = candidate.explanation;
  return result;
}

// Counts of the state that the stages worked with.
std::map<std::string, std::string> DebugOf(const RequestState& state) {
  return {{"events", absl::StrCat(state.context.events.size())},
          {"excluded_items", absl::StrCat(state.excluded.size() + state.excluded_numbers.size())},
          {"likes", absl::StrCat(state.user_model.likes.size())},
          {"dislikes", absl::StrCat(state.user_model.dislikes.size())},
          {"filtered_items", absl::StrCat(state.filtered_item_ids.size())},
          {"missing_items", absl::StrCat(state.missing_item_ids.size())}};
}

// Says in the last report that a search found less than it was asked for.
void NoteFewer(const RequestState& state, std::vector<StageReport>& reports) {
  const size_t found = state.candidates.size();
  if (static_cast<int>(found) >= state.query.num_results) return;
  reports.back().outcome = StageOutcome::kDegraded;
  reports.back().notes.push_back(
      {Degradation::kFewerThanRequested,
       absl::StrCat(found, " of ", state.query.num_results,
                    " results: no more items are found by the search and may be shown")});
}

// Checks every item again, so that no stage after the filter can add an item that must not be
// shown.
RecommendResult ToResult(RequestState& state, std::vector<StageReport> reports) {
  std::erase_if(state.candidates, [&](const Candidate& candidate) {
    return !FilterStage::Admits(state, candidate.record.item);
  });

  RecommendResult result;
  result.recommendation_id = NewRecommendationId();
  for (const Candidate& candidate : state.candidates) result.results.push_back(ToResult(candidate));
  result.stages = std::move(reports);
  result.rerank_weight = state.rerank_weight;
  result.ranking_fingerprint = state.ranking_fingerprint;
  if (state.query.debug) result.debug = DebugOf(state);
  return result;
}

RecommendQuery ToRecommendQuery(const RankQuery& query) {
  RecommendQuery recommend;
  recommend.catalog = query.catalog;
  recommend.user_id = query.user_id;
  recommend.session_events = query.session_events;
  recommend.filter = query.filter;
  recommend.include_seen = true;  // the caller chose the list
  recommend.num_results = static_cast<int>(query.item_ids.size());
  recommend.explain = query.explain;
  recommend.request_time = query.request_time;
  recommend.language = query.language;
  recommend.instruction = query.instruction;
  return recommend;
}

// A search that could not search is an error, not an empty answer.
absl::Status CheckSearched(const RequestState& state, const StageReport& source) {
  for (const StageNote& note : source.notes) {
    if (note.degradation == Degradation::kOverloaded)
      return absl::ResourceExhaustedError(note.detail);
    if (note.degradation == Degradation::kEmbeddingUnavailable ||
        note.degradation == Degradation::kRetrievalUnavailable) {
      return absl::UnavailableError(note.detail);
    }
  }

  if (state.num_searches > 0) return absl::OkStatus();
  if (state.search_error.ok())
    return absl::UnavailableError("no model made a vector of the query, so nothing was searched");
  // The request itself has been checked against the catalog. What the index refuses is new to it,
  // or of a model that it no longer or not yet serves, which passes.
  return absl::UnavailableError(
      absl::StrCat("nothing could be searched: ", state.search_error.ToString()));
}

absl::StatusOr<SpaceVector> ChooseSpace(const ItemWithVectors& record, const std::string& wanted) {
  for (const std::string& name :
       wanted.empty() ? std::vector<std::string>{kFusedSpace, kTextSpace, kImageSpace}
                      : std::vector<std::string>{wanted}) {
    for (const SpaceVector& vector : record.vectors) {
      if (vector.space.name == name) return vector;
    }
  }

  return absl::FailedPreconditionError(
      absl::StrCat("item ", QuoteForMessage(record.item.id), " has no vector in space ",
                   wanted.empty() ? "fused, text or image" : QuoteForMessage(wanted), " yet"));
}

}  // namespace

Recommender::Recommender(RecommenderParts parts, const Clock& clock, PipelineOptions options)
    : parts_(parts),
      clock_(clock),
      options_(options),
      hydrate_(parts_.features, options_),
      filter_(parts_.features),
      score_(options_),
      rerank_(parts_.ranker, clock_, options_),
      pool_("pipeline", kPoolThreads, kPoolQueue),
      source_(parts_.embedder, parts_.retriever, pool_, clock_, options_),
      recorder_(std::make_unique<ThreadPool>("impressions", kRecorderThreads, kPoolQueue)) {}

Recommender::~Recommender() = default;

RequestState Recommender::NewState(const RecommendQuery& query, const CallContext& context) const {
  RequestState state(query);
  state.now = query.request_time == absl::InfiniteFuture() ? clock_.Now() : query.request_time;
  state.call = context;
  return state;
}

absl::Status Recommender::Order(RequestState& state, std::vector<StageReport>& reports) const {
  PALATE_RETURN_IF_ERROR(RunStage(score_, state, reports));
  PALATE_RETURN_IF_ERROR(RunStage(rerank_, state, reports));
  return RunStage(diversify_, state, reports);
}

absl::Status Recommender::Explain(RequestState& state, RecommendResult& result,
                                  const StreamSink& sink) const {
  const ExplainStage explain(parts_.ranker, clock_, options_, sink.on_text);
  PALATE_RETURN_IF_ERROR(RunStage(explain, state, result.stages));
  for (size_t i = 0; i < result.results.size(); ++i)
    result.results[i].explanation = state.candidates[i].explanation;
  return absl::OkStatus();
}

absl::StatusOr<RecommendResult> Recommender::Recommend(const RecommendQuery& query,
                                                       const StreamSink& sink,
                                                       const CallContext& context) const {
  PALATE_RETURN_IF_ERROR(Validate(query, clock_.Now()));

  RequestState state = NewState(query, context);
  std::vector<StageReport> reports;
  PALATE_RETURN_IF_ERROR(RunStage(hydrate_, state, reports));
  PALATE_RETURN_IF_ERROR(RunStage(source_, state, reports));
  PALATE_RETURN_IF_ERROR(RunStage(filter_, state, reports));
  PALATE_RETURN_IF_ERROR(Order(state, reports));

  RecommendResult result = ToResult(state, std::move(reports));
  if (sink.on_ranked != nullptr && !sink.on_ranked(result))
    return absl::CancelledError("the caller stopped listening");

  PALATE_RETURN_IF_ERROR(Explain(state, result, sink));
  return result;
}

absl::StatusOr<RecommendResult> Recommender::Recommend(const RecommendQuery& query,
                                                       const CallContext& context) const {
  return Recommend(query, {}, context);
}

absl::StatusOr<RecommendResult> Recommender::Rank(const RankQuery& query,
                                                  const CallContext& context) const {
  PALATE_RETURN_IF_ERROR(Validate(query, clock_.Now()));

  const RecommendQuery recommend = ToRecommendQuery(query);
  RequestState state = NewState(recommend, context);
  std::vector<StageReport> reports;
  PALATE_RETURN_IF_ERROR(RunStage(hydrate_, state, reports));

  for (const std::string& id : query.item_ids) {
    Candidate candidate;
    candidate.item_id = id;
    candidate.reasons.push_back({Source::kCaller, 0, "", {}});
    state.candidates.push_back(std::move(candidate));
  }

  PALATE_RETURN_IF_ERROR(RunStage(filter_, state, reports));
  PALATE_RETURN_IF_ERROR(Order(state, reports));

  RecommendResult result = ToResult(state, std::move(reports));
  result.missing_item_ids = state.missing_item_ids;
  result.filtered_item_ids = state.filtered_item_ids;

  PALATE_RETURN_IF_ERROR(Explain(state, result, {}));
  return result;
}

absl::StatusOr<RecommendResult> Recommender::Search(const SearchQuery& query,
                                                    const CallContext& context) const {
  PALATE_RETURN_IF_ERROR(Validate(query));

  RecommendQuery inner;
  inner.catalog = query.catalog;
  inner.query = query.query;
  inner.filter = query.filter;
  inner.exclude_item_ids = query.exclude_item_ids;
  inner.num_results = query.num_results;
  inner.request_time = query.request_time;
  RequestState state = NewState(inner, context);
  state.query_user_id = query.user_id;
  state.wants_lists = false;

  std::vector<StageReport> reports;
  PALATE_RETURN_IF_ERROR(RunStage(hydrate_, state, reports));
  PALATE_RETURN_IF_ERROR(RunStage(source_, state, reports));

  PALATE_RETURN_IF_ERROR(CheckSearched(state, reports.back()));

  PALATE_RETURN_IF_ERROR(RunStage(filter_, state, reports));
  ScoreByQuery(state, options_.score);
  if (static_cast<int>(state.candidates.size()) > query.num_results)
    state.candidates.resize(query.num_results);
  NoteFewer(state, reports);
  return ToResult(state, std::move(reports));
}

absl::StatusOr<RecommendResult> Recommender::SimilarItems(const SimilarQuery& query,
                                                          const CallContext& context) const {
  PALATE_RETURN_IF_ERROR(Validate(query));

  RecommendQuery inner;
  inner.catalog = query.catalog;
  inner.filter = query.filter;
  inner.exclude_item_ids = query.exclude_item_ids;
  inner.exclude_item_ids.push_back(query.item_id);
  inner.num_results = query.num_results;
  inner.request_time = query.request_time;
  RequestState state = NewState(inner, context);
  state.wants_lists = false;

  std::vector<StageReport> reports;
  PALATE_RETURN_IF_ERROR(RunStage(hydrate_, state, reports));

  const std::vector<std::string> spaces =
      query.space.empty() ? std::vector<std::string>{kFusedSpace, kTextSpace, kImageSpace}
                          : std::vector<std::string>{query.space};
  const ItemVectors vectors = {.spaces = spaces,
                               .all_fingerprints = IsAnyChanging(state.context.spaces)};
  PALATE_ASSIGN_OR_RETURN(
      auto records, parts_.features.GetItems(query.catalog, {query.item_id}, vectors, state.call));
  if (!records[0].has_value()) {
    return absl::NotFoundError(absl::StrCat("item_id: item ", QuoteForMessage(query.item_id),
                                            " is not in catalog ", query.catalog));
  }
  KeepOneModel(state.context.spaces, *records[0]);
  PALATE_ASSIGN_OR_RETURN(SpaceVector vector, ChooseSpace(*records[0], query.space));

  RetrievalRequest retrieval;
  retrieval.catalog = query.catalog;
  retrieval.filter = query.filter;
  retrieval.exclude_item_ids.assign(state.excluded.begin(), state.excluded.end());
  retrieval.exclude_item_numbers = state.excluded_numbers;
  retrieval.request_time = state.now;
  retrieval.queries = {{std::move(vector), query.num_results}};
  PALATE_ASSIGN_OR_RETURN(const std::vector<RetrievalResult> results,
                          parts_.retriever.Search(retrieval, state.call));
  PALATE_ASSIGN_OR_RETURN(const std::vector<ScoredItem> hits, results.front());

  for (const ScoredItem& hit : hits) {
    Candidate candidate;
    candidate.item_id = hit.item_id;
    candidate.score = candidate.relevance_score = hit.score;
    candidate.reasons.push_back({Source::kContext,
                                 hit.score,
                                 retrieval.queries.front().vector.space.name,
                                 {query.item_id}});
    state.candidates.push_back(std::move(candidate));
  }

  PALATE_RETURN_IF_ERROR(RunStage(filter_, state, reports));
  NoteFewer(state, reports);
  return ToResult(state, std::move(reports));
}

void Recommender::RecordImpression(const RecommendQuery& query,
                                   const RecommendResult& result) const {
  Impression impression;
  impression.recommendation_id = result.recommendation_id;
  impression.user_id = query.user_id;
  impression.scenario = query.scenario;
  impression.time = clock_.Now();
  for (const ResultItem& item : result.results) impression.item_ids.push_back(item.item.id);

  absl::Status queued = absl::UnavailableError("the recommender is stopping");
  {
    MutexLock lock(recorder_mutex_);
    if (recorder_ != nullptr) {
      queued =
          recorder_->Submit([this, catalog = query.catalog, impression = std::move(impression)] {
            // Not the request's deadline and cancellation, because the response is ready.
            const CallContext context = {.deadline = clock_.Now() + options_.impression_timeout};
            const absl::Status written =
                parts_.features.WriteImpression(catalog, impression, context);
            if (!written.ok()) spdlog::warn("an impression was lost: {}", written.ToString());
          });
    }
  }

  if (!queued.ok()) spdlog::warn("an impression was lost: {}", queued.ToString());
}

void Recommender::StopRecording() {
  std::unique_ptr<ThreadPool> recorder;
  {
    MutexLock lock(recorder_mutex_);
    recorder = std::move(recorder_);
  }
  // The pool's destructor runs the queued tasks.
}

}  // namespace palate::pipeline
