#include <algorithm>
#include <future>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/limits.h"
#include "pipeline/recommend_stages.h"

namespace palate::pipeline {

// Collects candidates by id, with the reasons of all sources that found them.
class CandidateSet {
 public:
  size_t size() const { return by_id_.size(); }
  bool Contains(const std::string& item_id) const { return by_id_.contains(item_id); }
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

namespace {

constexpr int kMinPerVector = 20;

// A vector to search with, and the reason that its hits get.
struct VectorSource {
  VectorQuery query;
  Source source = Source::kContent;
  std::vector<std::string> item_ids;
  bool words_for_image = false;  // as QueryVector
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

// Whether an item that the feature store lists may be one that must not be shown.
bool IsRestricted(const RequestState& state) {
  return state.filter != nullptr || !state.excluded.empty() ||
         (!state.query.include_seen &&
          !(state.query.user_id.empty() && state.query.session_events.empty()));
}

std::vector<VectorSource> InterestSources(const RequestState& state, int default_per_source) {
  const int per_source = std::max(default_per_source, state.query.num_results);
  std::vector<VectorSource> sources;
  for (const InterestCentroid& interest : state.user_model.likes) {
    const int k = std::max(kMinPerVector, static_cast<int>(per_source * interest.weight));
    std::vector<std::string> items(
        interest.item_ids.begin(),
        interest.item_ids.begin() + std::min<size_t>(interest.item_ids.size(), kMaxReasonItems));
    sources.push_back(
        {{{interest.space, interest.centroid}, k}, Source::kContent, std::move(items)});
  }

  const int items = std::max(1, static_cast<int>(state.context_items.size()));
  const int per_context =
      std::max({kMinPerVector, default_per_source / 2, (per_source + items - 1) / items});
  for (const ItemWithVectors& record : state.context_items) {
    for (const SpaceVector& vector : record.vectors) {
      sources.push_back({{vector, per_context}, Source::kContext, {record.item.id}});
    }
  }
  return sources;
}

std::vector<VectorSource> QuerySources(const RequestState& state, const PipelineOptions& options) {
  const int per_source = std::max(options.candidates_per_source, state.query.num_results);
  std::vector<VectorSource> sources;
  for (const QueryVector& vector : state.query_vectors) {
    if (vector.words_for_image && options.score.query_image == 0) continue;
    sources.push_back({{vector.vector, per_source}, Source::kQuery, {}, vector.words_for_image});
  }
  return sources;
}

// What an error of the whole request says. The request has been checked against the catalog of the
// feature store, so what the index does not know has not reached it yet.
Degradation RequestDegradation(const absl::Status& status) {
  if (absl::IsResourceExhausted(status)) return Degradation::kOverloaded;
  return IsOutage(status) ? Degradation::kRetrievalUnavailable : Degradation::kIndexBehind;
}

// What an error of one search says.
Degradation SearchDegradation(const absl::Status& status, const std::string& space,
                              const Catalog& catalog) {
  if (absl::IsDeadlineExceeded(status)) return Degradation::kDeadlineShort;
  if (IsOutage(status)) return RequestDegradation(status);
  const bool declared =
      std::any_of(catalog.spaces.begin(), catalog.spaces.end(),
                  [&](const SpaceDeclaration& known) { return known.name == space; });
  return absl::IsNotFound(status) && declared ? Degradation::kIndexBehind
                                              : Degradation::kSpaceUnavailable;
}

// Says why a query found nothing. A search finds the nearest vectors however far they are, so there
// was none.
void NoteNothingNear(const std::string& space, RequestState& state) {
  const bool restricted = IsRestricted(state);
  state.Degrade(
      restricted ? Degradation::kFewerThanRequested : Degradation::kSpaceUnavailable,
      absl::StrCat("query over ", space, ": no item that may be shown has a vector in this space",
                   restricted ? "; a filter or exclusions apply" : ""));
}

// Whether a query's words found pictures, which is as good as finding texts.
bool FoundPictures(const std::vector<VectorSource>& sources,
                   const std::vector<RetrievalResult>& results) {
  for (size_t i = 0; i < sources.size(); ++i) {
    if (sources[i].words_for_image && results[i].ok() && !results[i]->empty()) return true;
  }
  return false;
}

// Searches with all sources in one request and collects the hits. Notes the error of the request,
// or of each query that failed. Replaces the queries of `request`. Returns what may be shown of
// each of its lists, or nothing after an error.
std::vector<std::vector<ScoredItem>> RunSearch(Retriever& retriever,
                                               const std::vector<VectorSource>& sources,
                                               RetrievalRequest& request, RequestState& state,
                                               CandidateSet& candidates,
                                               const CallContext& context) {
  std::vector<std::vector<ScoredItem>> lists;
  if (sources.empty() && request.lists.empty()) return lists;
  request.queries.clear();
  for (const VectorSource& source : sources) request.queries.push_back(source.query);

  const absl::StatusOr<std::vector<RetrievalResult>> results = retriever.Search(request, context);
  if (!results.ok()) {
    state.search_error = results.status();
    state.Degrade(RequestDegradation(results.status()),
                  absl::StrCat("retrieval: ", results.status().ToString()));
    return lists;
  }

  const bool words_found_pictures = FoundPictures(sources, *results);
  for (size_t i = 0; i < sources.size(); ++i) {
    const RetrievalResult& result = (*results)[i];
    const VectorSource& source = sources[i];
    const std::string& space = source.query.vector.space.name;
    // An index that has no picture does not know their space.
    if (source.words_for_image && absl::IsNotFound(result.status())) continue;
    if (!result.ok()) {
      state.search_error = result.status();
      state.Degrade(SearchDegradation(result.status(), space, state.context.catalog),
                    absl::StrCat(SourceName(source.source), " over ", space, ": ",
                                 result.status().ToString()));
      continue;
    }
    ++state.num_searches;
    if (result->empty() && source.source == Source::kQuery && !source.words_for_image &&
        !words_found_pictures)
      NoteNothingNear(space, state);
    for (const ScoredItem& hit : *result)
      candidates.Add(hit.item_id, {source.source, hit.score, space, source.item_ids});
  }
  for (size_t i = sources.size(); i < results->size(); ++i)
    lists.push_back((*results)[i].ok() ? *(*results)[i] : std::vector<ScoredItem>());
  return lists;
}

CandidateList ListOf(const std::vector<ScoredItem>& items, int k) {
  CandidateList list{.item_ids = {}, .k = k};
  for (const ScoredItem& item : items) list.item_ids.push_back(item.item_id);
  return list;
}

// Keeps the items of `allowed`, which has the order of `items`.
void Keep(const std::vector<ScoredItem>& allowed, std::vector<ScoredItem>& items) {
  size_t next = 0;
  std::erase_if(items, [&](const ScoredItem& item) {
    if (next == allowed.size() || allowed[next].item_id != item.item_id) return true;
    ++next;
    return false;
  });
}

void Cut(size_t count, std::vector<ScoredItem>& items) {
  if (items.size() > count) items.resize(count);
}

// As many candidates as the result needs. Caps and exploration choose among more.
int NeededCandidates(const RequestState& state, int per_source) {
  const Diversity& diversity = state.query.diversity;
  const bool chooses = !diversity.attribute_caps.empty() || diversity.exploration_share > 0;
  return chooses ? std::max(per_source, state.query.num_results) : state.query.num_results;
}

// The last resort: any items that may be shown.
void AddFromCatalog(Retriever& retriever, int needed, RetrievalRequest& request,
                    RequestState& state, CandidateSet& candidates, const CallContext& context) {
  const int found = static_cast<int>(candidates.size());
  if (found >= needed) return;

  // As many of the answer as were found may be known already.
  request.lists = {{.item_ids = {}, .k = std::min(kMaxSearchResults, needed + found)}};
  for (const auto& items : RunSearch(retriever, {}, request, state, candidates, context)) {
    for (const ScoredItem& item : items) {
      if (static_cast<int>(candidates.size()) >= needed) return;
      if (!candidates.Contains(item.item_id))
        candidates.Add(item.item_id, {Source::kCatalog, 0, "", {}});
    }
  }
}

EmbedQuery ToEmbedQuery(const RequestState& state) {
  EmbedQuery query;
  for (const SpaceDeclaration& space : state.context.catalog.spaces) {
    if (space.name == kTextSpace) query.model = space.model;
  }

  // Of the models that the catalog's vectors are from, rather than of the one that it declares:
  // while a space changes, that one may have no vectors yet, and the former one may be gone.
  for (const SpaceModels& space : state.context.spaces) {
    query.wanted.push_back({space.name, space.active_fingerprint});
    if (space.IsChanging()) query.wanted.push_back({space.name, space.target_fingerprint});
  }

  query.text = state.query.query.text;
  query.image = state.query.query.image;
  query.catalog = state.query.catalog;
  query.user_id = std::string(state.query_user_id);
  return query;
}

// The query's vector in the space, or null.
const SpaceVector* QueryVectorIn(const RequestState& state, const std::string& space) {
  for (const QueryVector& query : state.query_vectors) {
    if (query.vector.space.name == space) return &query.vector;
  }
  return nullptr;
}

// Says what of the query no model could embed, and which spaces are searched with the vectors of
// the model that they change to, because the active one is gone.
void NoteModels(RequestState& state) {
  const SearchInput& query = state.query.query;
  for (const SpaceModels& space : state.context.spaces) {
    const bool wanted = (space.name == kTextSpace && !query.text.empty()) ||
                        (space.name == kImageSpace && !query.empty());
    // Without an active model nothing has been embedded yet.
    if (!wanted || space.active_fingerprint.empty()) continue;

    const SpaceVector* vector = QueryVectorIn(state, space.name);
    if (vector == nullptr) {
      state.Degrade(Degradation::kSpaceUnavailable,
                    absl::StrCat("query over ", space.name, ": model ", space.active_fingerprint,
                                 " of the catalog's vectors is not loaded"));
    } else if (vector->space.fingerprint != space.active_fingerprint) {
      const UserContext& context = state.context;
      state.Degrade(
          Degradation::kSpaceUnavailable,
          absl::StrCat("query over ", space.name, ": model ", space.active_fingerprint,
                       " is not loaded, so model ", vector->space.fingerprint,
                       " is used, to which the space changes; ", context.num_waiting_items, " of ",
                       context.num_items, " items may have no vectors of it yet"));
    }
  }
}

}  // namespace

int NumTrending(const RequestState& state, const PipelineOptions& options) {
  return std::max(options.candidates_per_source, state.query.num_results);
}

int NumFresh(const RequestState& state, const PipelineOptions& options) {
  return std::max(options.candidates_per_source / 2, state.query.num_results);
}

void SourceStage::SearchInterests(RetrievalRequest& request, RequestState& state,
                                  CandidateSet& candidates, const CallContext& context) const {
  const auto num_trending = static_cast<size_t>(NumTrending(state, options_));
  const auto num_fresh = static_cast<size_t>(NumFresh(state, options_));
  std::vector<ScoredItem>& trending = state.context.trending;
  std::vector<ScoredItem>& fresh = state.context.fresh;
  const bool restricted = IsRestricted(state);
  if (restricted) {
    // A list without ids would mean the whole catalog.
    for (const auto& [items, k] :
         {std::pair(&trending, num_trending), std::pair(&fresh, num_fresh)})
      if (!items->empty()) request.lists.push_back(ListOf(*items, static_cast<int>(k)));
  }

  const std::vector<std::vector<ScoredItem>> allowed =
      RunSearch(retriever_, InterestSources(state, options_.candidates_per_source), request, state,
                candidates, context);

  const bool answered = allowed.size() == request.lists.size();
  request.lists.clear();
  if (restricted && answered) {
    size_t next = 0;
    if (!trending.empty()) Keep(allowed[next++], trending);
    if (!fresh.empty()) Keep(allowed[next++], fresh);
  }
  // The filter stage has to cut what retrieval could not check.
  if (!restricted || answered || state.filter == nullptr) {
    std::erase_if(trending, [&](const auto& item) { return state.excluded.count(item.item_id); });
    std::erase_if(fresh, [&](const auto& item) { return state.excluded.count(item.item_id); });
    Cut(num_trending, trending);
    Cut(num_fresh, fresh);
  }
}

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
  SearchInterests(request, state, candidates, context);

  if (embedding.valid()) {
    absl::StatusOr<std::vector<QueryVector>> vectors = embedding.get();
    if (absl::IsInvalidArgument(vectors.status())) return vectors.status();
    if (!vectors.ok()) {
      state.search_error = vectors.status();
      state.Degrade(absl::IsResourceExhausted(vectors.status())
                        ? Degradation::kOverloaded
                        : Degradation::kEmbeddingUnavailable,
                    absl::StrCat("embedding: ", vectors.status().ToString()));
    } else {
      state.query_vectors = *std::move(vectors);
      NoteModels(state);
      RunSearch(retriever_, QuerySources(state, options_), request, state, candidates, context);
    }
  }

  for (const ScoredItem& item : state.context.trending)
    candidates.Add(item.item_id, {Source::kTrending, item.score, "", {}});
  for (const ScoredItem& item : state.context.fresh)
    candidates.Add(item.item_id, {Source::kFresh, item.score, "", {}});
  if (state.wants_lists) {
    AddFromCatalog(retriever_, NeededCandidates(state, options_.candidates_per_source), request,
                   state, candidates, context);
  }
  state.candidates = candidates.Take();
  return absl::OkStatus();
}

}  // namespace palate::pipeline
