#include "services/clients/feature_store_client.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "domain/limits.h"
#include "services/convert/types_convert.h"
#include "services/convert/user_context_convert.h"
#include "services/runtime/client_call.h"

namespace palate::services {
namespace {

namespace store_pb = palate::featurestore::v1;
using StoreAsync = store_pb::FeatureStoreService::StubInterface::async_interface;

}  // namespace

absl::StatusOr<UserContext> FeatureStoreClient::GetUserContext(UserContextQuery query,
                                                               const CallContext& context) {
  store_pb::GetUserContextResponse response;
  PALATE_RETURN_IF_ERROR(CallUnary(stub_.async(), &StoreAsync::GetUserContext,
                                   ToProto(std::move(query)), response, context));
  return FromProto(std::move(response));
}

absl::StatusOr<std::vector<std::optional<ItemWithVectors>>> FeatureStoreClient::GetItems(
    const std::string& catalog, const std::vector<std::string>& item_ids,
    const pipeline::ItemVectors& vectors, const CallContext& context) {
  std::vector<std::optional<ItemWithVectors>> items(item_ids.size());
  for (size_t begin = 0; begin < item_ids.size(); begin += kMaxBatchElements) {
    const size_t end = std::min(item_ids.size(), begin + kMaxBatchElements);
    store_pb::GetItemsRequest request;
    request.set_catalog(catalog);
    request.mutable_item_ids()->Assign(item_ids.begin() + begin, item_ids.begin() + end);
    request.mutable_view()->mutable_spaces()->Assign(vectors.spaces.begin(), vectors.spaces.end());
    request.mutable_view()->set_all_fingerprints(vectors.all_fingerprints);
    store_pb::GetItemsResponse response;
    PALATE_RETURN_IF_ERROR(
        CallUnary(stub_.async(), &StoreAsync::GetItems, request, response, context));

    // The response has the order of the ids and omits items that do not exist.
    size_t next = begin;
    for (const types_pb::ItemRecord& record : response.items()) {
      while (next < end && item_ids[next] != record.item().id()) ++next;
      if (next == end)
        return absl::InternalError(
            "the feature store returned items in another order than requested");
      PALATE_ASSIGN_OR_RETURN(items[next++], FromProto(record));
    }
  }
  return items;
}

absl::Status FeatureStoreClient::WriteImpression(const std::string& catalog,
                                                 const Impression& impression,
                                                 const CallContext& context) {
  store_pb::WriteImpressionRequest request;
  request.set_catalog(catalog);
  request.set_recommendation_id(impression.recommendation_id);
  request.set_user_id(impression.user_id);
  request.set_scenario(impression.scenario);
  request.mutable_item_ids()->Assign(impression.item_ids.begin(), impression.item_ids.end());
  *request.mutable_time() = ToProto(impression.time);

  store_pb::WriteImpressionResponse response;
  return CallUnary(stub_.async(), &StoreAsync::WriteImpression, request, response, context);
}

}  // namespace palate::services
