#include "services/retrieval/retrieval_grpc.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status.h"
#include "domain/limits.h"
#include "services/convert/types_convert.h"
#include "services/retrieval/retrieval_convert.h"
#include "services/runtime/status_convert.h"

namespace palate::services {
namespace {

namespace pb = palate::retrieval::v1;
using retrieval::SearchHit;

// The answers of searches that run side by side on the index set's pool.
class Answers {
 public:
  explicit Answers(size_t count) : hits_(count, absl::UnknownError("not searched")), waiting_(count) {}

  void Set(size_t index, absl::StatusOr<retrieval::SearchResponse> response) {
    MutexLock lock(mutex_);
    if (response.ok()) {
      hits_[index] = std::move(response->hits.front());
    } else {
      hits_[index] = response.status();
    }
    if (--waiting_ == 0) all_.Signal();
  }

  std::vector<absl::StatusOr<std::vector<SearchHit>>> Wait() {
    MutexLock lock(mutex_);
    while (waiting_ > 0) all_.Wait(mutex_);
    return std::move(hits_);
  }

 private:
  Mutex mutex_;
  CondVar all_;
  std::vector<absl::StatusOr<std::vector<SearchHit>>> hits_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

RetrievalGrpc::RetrievalGrpc(retrieval::IndexSet& indexes, const retrieval::Follower& follower, ThreadPool& pool)
    : RpcService("palate.retrieval.v1.RetrievalService", pool), indexes_(indexes), follower_(follower) {
  Unary("Search", this, &RetrievalGrpc::Search);
  Unary("GetStats", this, &RetrievalGrpc::GetStats);
  Unary("Snapshot", this, &RetrievalGrpc::Snapshot);
  CheckComplete();
}

absl::StatusOr<retrieval::SearchRequest> RetrievalGrpc::Convert(const Call& call, const retrieval::CatalogIndex& index,
                                                                const pb::SearchQuery& query) const {
  absl::StatusOr<SpaceVector> vector = FromProto(query.vector());
  if (!vector.ok()) return PrefixFields(vector.status(), "vector");
  retrieval::SearchRequest request;
  request.space = std::move(vector->space);
  request.queries.push_back(std::move(vector->values));
  request.k = query.k();
  if (!query.filter().empty()) {
    PALATE_ASSIGN_OR_RETURN(retrieval::Filter filter, index.ParseFilter(query.filter()));
    request.filter = std::make_shared<const retrieval::Filter>(std::move(filter));
  }
  request.exclude_item_ids.assign(query.exclude_item_ids().begin(), query.exclude_item_ids().end());
  if (query.has_request_time()) {
    PALATE_ASSIGN_OR_RETURN(request.now, FromProto(query.request_time(), "request_time"));
  }
  request.context = call.context();
  return request;
}

absl::Status RetrievalGrpc::Search(Call& call, const pb::SearchRequest& request, pb::SearchResponse& response) {
  const size_t count = static_cast<size_t>(request.queries_size());
  if (count < 1 || count > kMaxSearchQueries) {
    return InvalidField("queries", absl::StrCat("has ", count, " elements"), absl::StrCat("1 to ", kMaxSearchQueries, " elements"));
  }
  const absl::StatusOr<std::shared_ptr<retrieval::CatalogIndex>> found = indexes_.Find(request.catalog());
  if (absl::IsNotFound(found.status()) && !follower_.ready()) {
    return absl::UnavailableError("the index has not been loaded from the feature store yet");
  }
  PALATE_RETURN_IF_ERROR(found.status());
  const retrieval::CatalogIndex& index = **found;
  // Shared with the callbacks, which may still be leaving Set() when Wait() returns.
  const auto answers = std::make_shared<Answers>(count);
  for (size_t i = 0; i < count; ++i) {
    absl::StatusOr<retrieval::SearchRequest> search = Convert(call, index, request.queries(static_cast<int>(i)));
    if (search.ok()) {
      indexes_.SearchAsync(request.catalog(), *std::move(search),
                           [answers, i](absl::StatusOr<retrieval::SearchResponse> found) { answers->Set(i, std::move(found)); });
    } else {
      answers->Set(i, search.status());
    }
  }
  const auto results = answers->Wait();
  for (size_t i = 0; i < count; ++i) {
    pb::SearchResult* out = response.add_results();
    if (!results[i].ok()) {
      *response.add_failures() = ToItemFailure(i, PrefixFields(results[i].status(), absl::StrCat("queries[", i, "]")));
      continue;
    }
    for (const SearchHit& hit : *results[i]) {
      types_pb::ScoredItem* item = out->add_items();
      item->set_item_id(hit.item_id);
      item->set_score(hit.score);
    }
  }
  return absl::OkStatus();
}

absl::Status RetrievalGrpc::GetStats(Call&, const pb::GetStatsRequest&, pb::GetStatsResponse& response) {
  const retrieval::IndexSetStats stats = indexes_.GetStats();
  for (const retrieval::CatalogStats& catalog : stats.catalogs) *response.add_catalogs() = ToProto(catalog);
  *response.mutable_follower() = ToProto(follower_.GetStats());
  response.set_position(stats.position);
  if (stats.last_snapshot != absl::InfinitePast()) *response.mutable_last_snapshot() = ToProto(stats.last_snapshot);
  response.set_snapshots_set_aside(stats.snapshots_set_aside);
  response.set_queued_searches(static_cast<int64_t>(stats.queued_searches));
  return absl::OkStatus();
}

absl::Status RetrievalGrpc::Snapshot(Call&, const pb::SnapshotRequest&, pb::SnapshotResponse& response) {
  PALATE_RETURN_IF_ERROR(indexes_.Save());
  response.set_position(indexes_.position());
  return absl::OkStatus();
}

}  // namespace palate::services
