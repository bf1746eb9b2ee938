#include "services/retrieval/retrieval_grpc.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/limits.h"
#include "services/convert/types_convert.h"
#include "services/retrieval/retrieval_convert.h"
#include "services/runtime/status_convert.h"

namespace palate::services {
namespace {

namespace pb = palate::retrieval::v1;

// The request without its vectors. The filter is parsed here, once.
absl::StatusOr<retrieval::SearchRequest> ReadRequest(const pb::SearchRequest& request,
                                                     const retrieval::CatalogIndex& index) {
  retrieval::SearchRequest search;
  if (!request.filter().empty()) {
    PALATE_ASSIGN_OR_RETURN(retrieval::Filter filter, index.ParseFilter(request.filter()));
    search.filter = std::make_shared<const retrieval::Filter>(std::move(filter));
  }
  search.exclude_item_ids.assign(request.exclude_item_ids().begin(),
                                 request.exclude_item_ids().end());
  absl::StatusOr<ItemNumberSet> numbers = ItemNumberSet::Parse(request.exclude_item_numbers());
  if (!numbers.ok()) {
    return InvalidField("exclude_item_numbers",
                        absl::StrCat("has ", request.exclude_item_numbers().size(), " other bytes"),
                        "a roaring bitmap in the portable format");
  }
  search.exclude_item_numbers = *std::move(numbers);
  if (request.has_request_time()) {
    PALATE_ASSIGN_OR_RETURN(search.now, FromProto(request.request_time(), "request_time"));
  }
  for (const pb::CandidateList& list : request.candidate_lists())
    search.lists.push_back({{list.item_ids().begin(), list.item_ids().end()}, list.k()});
  return search;
}

// Adds the queries to `search`. Returns the errors of queries whose vector cannot be read, by
// index; these are added without a vector, so that results have the same indexes as queries.
std::map<size_t, absl::Status> ReadQueries(const pb::SearchRequest& request,
                                           retrieval::SearchRequest& search) {
  std::map<size_t, absl::Status> unreadable;
  for (const pb::VectorQuery& query : request.queries()) {
    absl::StatusOr<SpaceVector> vector = FromProto(query.vector());
    if (!vector.ok())
      unreadable.emplace(search.queries.size(), PrefixFields(vector.status(), "vector"));
    search.queries.push_back(
        {.vector = vector.ok() ? *std::move(vector) : SpaceVector(), .k = query.k()});
  }
  return unreadable;
}

// When the search has to end so that the answer, with what was found until then, reaches the caller
// before it gives up.
absl::Time AnswerBy(absl::Time deadline, absl::Time now) {
  constexpr absl::Duration kMargin = absl::Milliseconds(20);
  return deadline - std::clamp((deadline - now) / 5, absl::ZeroDuration(), kMargin);
}

}  // namespace

RetrievalGrpc::RetrievalGrpc(retrieval::IndexSet& indexes, const retrieval::Follower& follower,
                             ThreadPool& pool)
    : RpcService("palate.retrieval.v1.RetrievalService", pool),
      indexes_(indexes),
      follower_(follower) {
  Unary("Search", this, &RetrievalGrpc::Search);
  Unary("GetStats", this, &RetrievalGrpc::GetStats);
  Unary("Snapshot", this, &RetrievalGrpc::Snapshot);
  CheckComplete();
}

absl::StatusOr<std::shared_ptr<retrieval::CatalogIndex>> RetrievalGrpc::FindIndex(
    const std::string& catalog) const {
  absl::StatusOr<std::shared_ptr<retrieval::CatalogIndex>> found = indexes_.Find(catalog);
  if (absl::IsNotFound(found.status()) && !follower_.ready()) {
    return absl::UnavailableError("the index has not been loaded from the feature store yet");
  }
  return found;
}

absl::Status RetrievalGrpc::Search(Call& call, const pb::SearchRequest& request,
                                   pb::SearchResponse& response) {
  PALATE_ASSIGN_OR_RETURN(const std::shared_ptr<retrieval::CatalogIndex> index,
                          FindIndex(request.catalog()));
  PALATE_ASSIGN_OR_RETURN(retrieval::SearchRequest search, ReadRequest(request, *index));
  search.context = call.context();
  search.context = search.context.WithDeadline(AnswerBy(search.context.deadline, absl::Now()));
  const std::map<size_t, absl::Status> unreadable = ReadQueries(request, search);

  PALATE_ASSIGN_OR_RETURN(const retrieval::SearchResponse found,
                          indexes_.Search(request.catalog(), std::move(search)));

  for (size_t i = 0; i < found.results.size(); ++i) {
    pb::SearchResult* out = response.add_results();
    const auto failed = unreadable.find(i);
    const absl::Status& status =
        failed != unreadable.end() ? failed->second : found.results[i].status();
    if (!status.ok()) {
      *response.add_failures() =
          ToItemFailure(i, PrefixFields(status, absl::StrCat("queries[", i, "]")));
      continue;
    }
    for (const retrieval::SearchHit& hit : *found.results[i]) {
      types_pb::ScoredItem* item = out->add_items();
      item->set_item_id(hit.item_id);
      item->set_score(hit.score);
    }
  }
  for (const std::vector<std::string>& ids : found.lists)
    response.add_lists()->mutable_item_ids()->Assign(ids.begin(), ids.end());
  return absl::OkStatus();
}

absl::Status RetrievalGrpc::GetStats(Call&, const pb::GetStatsRequest&,
                                     pb::GetStatsResponse& response) {
  const retrieval::IndexSetStats stats = indexes_.GetStats();
  for (const retrieval::CatalogStats& catalog : stats.catalogs)
    *response.add_catalogs() = ToProto(catalog);

  *response.mutable_follower() = ToProto(follower_.GetStats());
  response.set_position(stats.position);
  if (stats.last_snapshot != absl::InfinitePast())
    *response.mutable_last_snapshot() = ToProto(stats.last_snapshot);
  response.set_snapshots_set_aside(stats.snapshots_set_aside);
  response.set_queued_searches(static_cast<int64_t>(stats.queued_searches));
  return absl::OkStatus();
}

absl::Status RetrievalGrpc::Snapshot(Call&, const pb::SnapshotRequest&,
                                     pb::SnapshotResponse& response) {
  PALATE_ASSIGN_OR_RETURN(*response.mutable_position(), indexes_.Save());
  return absl::OkStatus();
}

}  // namespace palate::services
