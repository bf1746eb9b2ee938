#include <algorithm>
#include <future>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/limits.h"
#include "pipeline/recommend_stages.h"

namespace palate::pipeline {
namespace {

constexpr int kMinPerVector = 20;

// A vector to search with, and the reason that its hits get.
struct VectorSource {
  VectorQuery query;
  Source source = Source::kContent;
  std::vector<std::string> item_ids;
};

// Collects candidates by id, with the reasons of all sources that found them.
class CandidateSet {
 public:
  explicit CandidateSet(const std::set<std::string>& excluded) : excluded_(excluded) {}

  void Add(const std::string& item_id, Reason reason) {
    if (excluded_.count(item_id) > 0) return;
    Candidate& candidate = by_id_[item_id];
    candidate.item_id = item_id;
    candidate.reasons.push_back(std::move(reason));
  }

  std::vector<Candidate> Take() {
    std::vector<Candidate> candidates;
    for (auto& [id, candidate] : by_id_) candidates.push_back(std::move(candidate));
    return candidates;
  }

 private:
  const std::set<std::string>& excluded_;
  std::map<std::string, Candidate> by_id_;
};

// The fields that all searches of the request share.
RetrievalRequest MakeRequest(const RequestState& state) {
  RetrievalRequest request;
  request.catalog = state.query.catalog;
  request.filter = state.query.filter;
  request.exclude_item_ids.assign(state.excluded.begin(), state.excluded.end());
  request.exclude_item_numbers = state.excluded_numbers;
  request.request_time = state.now;
  return request;
}

std::vector<VectorSource> InterestSources(const RequestState& state, int per_source) {
  std::vector<VectorSource> sources;
  for (const InterestCentroid& interest : state.user_model.likes) {
    const int k = std::max(kMinPerVector, static_cast<int>(per_source * interest.weight));
    std::vector<std::string> items(
        interest.item_ids.begin(),
        interest.item_ids.begin() + std::min<size_t>(interest.item_ids.size(), kMaxReasonItems));
    sources.push_back(
        {{{interest.space, interest.centroid}, k}, Source::kContent, std::move(items)});
  }

  for (const ItemWithVectors& record : state.context_items) {
    for (const SpaceVector& vector : record.vectors) {
      sources.push_back(
          {{vector, std::max(kMinPerVector, per_source / 2)}, Source::kContext, {record.item.id}});
    }
  }
  return sources;
}

std::vector<VectorSource> QuerySources(const RequestState& state, int per_source) {
  std::vector<VectorSource> sources;
  for (const QueryVector& vector : state.query_vectors)
    sources.push_back({{vector.vector, per_source}, Source::kQuery, {}});
  return sources;
}

Degradation DegradationFor(const absl::Status& status) {
  return IsOutage(status) ? Degradation::kRetrievalUnavailable : Degradation::kSpaceUnavailable;
}

// Searches with all sources in one request and collects the hits. Notes the error of the request,
// or of each query that failed. Replaces the queries of `request`.
void RunSearch(Retriever& retriever, const std::vector<VectorSource>& sources,
               RetrievalRequest& request, RequestState& state, CandidateSet& candidates,
               const CallContext& context) {
  if (sources.empty()) return;
  request.queries.clear();
  for (const VectorSource& source : sources) request.queries.push_back(source.query);

  const absl::StatusOr<std::vector<RetrievalResult>> results = retriever.Search(request, context);
  if (!results.ok())
    return state.Degrade(DegradationFor(results.status()),
                         absl::StrCat("retrieval: ", results.status().ToString()));

  for (size_t i = 0; i < results->size(); ++i) {
    const RetrievalResult& result = (*results)[i];
    const VectorSource& source = sources[i];
    const std::string& space = source.query.vector.space.name;
    if (!result.ok()) {
      state.Degrade(DegradationFor(result.status()),
                    absl::StrCat(SourceName(source.source), " over ", space, ": ",
                                 result.status().ToString()));
      continue;
    }
    for (const ScoredItem& hit : *result)
      candidates.Add(hit.item_id, {source.source, hit.score, space, source.item_ids});
  }
}

EmbedQuery ToEmbedQuery(const RequestState& state) {
  EmbedQuery query;
  for (const SpaceDeclaration& space : state.context.catalog.spaces) {
    if (space.name == kTextSpace) query.model = space.model;
  }

  query.text = state.query.query.text;
  query.image = state.query.query.image;
  query.catalog = state.query.catalog;
  query.user_id = std::string(state.query_user_id);
  return query;
}

}  // namespace

absl::Status SourceStage::Run(RequestState& state) const {
  const CallContext context = state.call.WithDeadline(clock_.Now() + options_.source_budget);
  std::future<absl::StatusOr<std::vector<QueryVector>>> embedding;

  if (!state.query.query.empty()) {
    auto task = std::make_shared<std::packaged_task<absl::StatusOr<std::vector<QueryVector>>()>>(
        [this, query = ToEmbedQuery(state), context] { return embedder_.Embed(query, context); });
    embedding = task->get_future();
    // When the pool is full, the calling thread embeds the query.
    if (!pool_.Submit([task] { (*task)(); }).ok()) (*task)();
  }

  CandidateSet candidates(state.excluded);
  RetrievalRequest request = MakeRequest(state);
  RunSearch(retriever_, InterestSources(state, options_.candidates_per_source), request, state,
            candidates, context);

  if (embedding.valid()) {
    absl::StatusOr<std::vector<QueryVector>> vectors = embedding.get();
    if (absl::IsInvalidArgument(vectors.status())) return vectors.status();
    if (!vectors.ok()) {
      state.Degrade(Degradation::kEmbeddingUnavailable, vectors.status().ToString());
    } else {
      state.query_vectors = *std::move(vectors);
      RunSearch(retriever_, QuerySources(state, options_.candidates_per_source), request, state,
                candidates, context);
    }
  }

  for (const ScoredItem& item : state.context.trending)
    candidates.Add(item.item_id, {Source::kTrending, item.score, "", {}});
  for (const ScoredItem& item : state.context.fresh)
    candidates.Add(item.item_id, {Source::kFresh, item.score, "", {}});
  state.candidates = candidates.Take();
  return absl::OkStatus();
}

}  // namespace palate::pipeline
