#include "services/clients/retrieval_client.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/limits.h"
#include "retrieval/index.h"
#include "services/convert/types_convert.h"
#include "services/runtime/client_call.h"

namespace palate::services {
namespace {

namespace retrieval_pb = palate::retrieval::v1;
using RetrievalAsync = retrieval_pb::RetrievalService::StubInterface::async_interface;

retrieval_pb::SearchRequest SearchRequestFor(const pipeline::RetrievalRequest& request) {
  retrieval_pb::SearchRequest out;
  out.set_catalog(request.catalog);
  out.set_filter(request.filter);
  // The request's list and its context items may be more than the service accepts; the pipeline
  // drops the others from the result.
  const size_t excluded = std::min<size_t>(request.exclude_item_ids.size(), kMaxExcludedItems);
  out.mutable_exclude_item_ids()->Assign(request.exclude_item_ids.begin(),
                                         request.exclude_item_ids.begin() + excluded);
  out.set_exclude_item_numbers(request.exclude_item_numbers.Serialize());
  if (request.request_time != absl::InfiniteFuture())
    *out.mutable_request_time() = ToProto(request.request_time);

  for (const VectorQuery& query : request.queries) {
    retrieval_pb::VectorQuery* added = out.add_queries();
    *added->mutable_vector() = ToProto(query.vector);
    added->set_k(query.k);
  }
  for (const CandidateList& list : request.lists) {
    retrieval_pb::CandidateList* added = out.add_candidate_lists();
    added->mutable_item_ids()->Assign(list.item_ids.begin(), list.item_ids.end());
    added->set_k(list.k);
  }
  return out;
}

pipeline::RetrievalResult ResultFrom(const retrieval_pb::SearchResponse& response, int index) {
  for (const types_pb::ItemFailure& failure : response.failures()) {
    if (failure.index() == index) return FromRpcStatus(failure.status());
  }
  if (index >= response.results_size())
    return absl::InternalError(absl::StrCat("no result for query ", index));

  std::vector<ScoredItem> hits;
  for (const types_pb::ScoredItem& item : response.results(index).items())
    hits.push_back({item.item_id(), item.score()});
  return hits;
}

pipeline::RetrievalResult ListFrom(const retrieval_pb::SearchResponse& response, int index) {
  if (index >= response.lists_size())
    return absl::InternalError(absl::StrCat("no result for list ", index));

  std::vector<ScoredItem> items;
  for (const std::string& id : response.lists(index).item_ids()) items.push_back({id, 0});
  return items;
}

}  // namespace

absl::StatusOr<std::vector<pipeline::RetrievalResult>> RetrievalClient::Search(
    const pipeline::RetrievalRequest& request, const CallContext& context) {
  retrieval_pb::SearchResponse response;
  PALATE_RETURN_IF_ERROR(CallUnary(stub_.async(), &RetrievalAsync::Search,
                                   SearchRequestFor(request), response, context));

  std::vector<pipeline::RetrievalResult> results;
  for (size_t i = 0; i < request.queries.size(); ++i)
    results.push_back(ResultFrom(response, static_cast<int>(i)));
  for (size_t i = 0; i < request.lists.size(); ++i)
    results.push_back(ListFrom(response, static_cast<int>(i)));
  return results;
}

}  // namespace palate::services
