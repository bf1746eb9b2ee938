#include "services/clients/retrieval_client.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "domain/limits.h"
#include "retrieval/index.h"
#include "services/convert/types_convert.h"
#include "services/runtime/client_call.h"

namespace palate::services {
namespace {

namespace retrieval_pb = palate::retrieval::v1;
using RetrievalAsync = retrieval_pb::RetrievalService::StubInterface::async_interface;
using Hits = absl::StatusOr<std::vector<ScoredItem>>;

void AddQuery(const pipeline::RetrievalQuery& query, retrieval_pb::SearchRequest& request) {
  retrieval_pb::SearchQuery* out = request.add_queries();
  *out->mutable_vector() = ToProto(query.vector);
  out->set_k(query.k);
  out->set_filter(query.filter);
  // A user may have seen more than the service excludes; the pipeline drops the rest of them from the answer.
  const size_t excluded = std::min<size_t>(query.exclude_item_ids.size(), kMaxExcludedItems);
  out->mutable_exclude_item_ids()->Assign(query.exclude_item_ids.begin(), query.exclude_item_ids.begin() + excluded);
  if (query.request_time != absl::InfiniteFuture()) *out->mutable_request_time() = ToProto(query.request_time);
}

Hits HitsFrom(const retrieval_pb::SearchResponse& response, int index) {
  for (const types_pb::ItemFailure& failure : response.failures()) {
    if (failure.index() == index) return FromRpcStatus(failure.status());
  }
  if (index >= response.results_size()) return absl::InternalError(absl::StrCat("no result for query ", index));
  std::vector<ScoredItem> hits;
  for (const types_pb::ScoredItem& item : response.results(index).items()) hits.push_back({item.item_id(), item.score()});
  return hits;
}

}  // namespace

std::vector<Hits> RetrievalClient::Search(const std::vector<pipeline::RetrievalQuery>& queries, const CallContext& context) {
  // One call for each catalog; in practice there is one.
  std::map<std::string, std::vector<size_t>> by_catalog;
  for (size_t i = 0; i < queries.size(); ++i) by_catalog[queries[i].catalog].push_back(i);
  std::vector<Hits> results(queries.size(), absl::UnknownError("not searched"));
  for (const auto& [catalog, indices] : by_catalog) {
    retrieval_pb::SearchRequest request;
    request.set_catalog(catalog);
    for (const size_t index : indices) AddQuery(queries[index], request);
    retrieval_pb::SearchResponse response;
    const absl::Status status = CallUnary(stub_.async(), &RetrievalAsync::Search, request, response, context);
    for (size_t i = 0; i < indices.size(); ++i) {
      results[indices[i]] = status.ok() ? HitsFrom(response, static_cast<int>(i)) : Hits(status);
    }
  }
  return results;
}

}  // namespace palate::services
