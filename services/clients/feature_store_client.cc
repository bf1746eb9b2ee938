#include "services/clients/feature_store_client.h"

#include <map>
#include <utility>

#include "base/status.h"
#include "domain/limits.h"
#include "services/convert/types_convert.h"
#include "services/runtime/client_call.h"

namespace palate::services {
namespace {

namespace store_pb = palate::featurestore::v1;
using StoreAsync = store_pb::FeatureStoreService::StubInterface::async_interface;

absl::StatusOr<pipeline::ItemRecord> RecordFrom(const types_pb::ItemRecord& record) {
  pipeline::ItemRecord out;
  PALATE_ASSIGN_OR_RETURN(out.item, FromProto(record.item()));
  for (const types_pb::ItemImage& image : record.item().images()) out.item.images.push_back(FromProto(image));
  for (const types_pb::Vector& vector : record.vectors()) {
    PALATE_ASSIGN_OR_RETURN(SpaceVector value, FromProto(vector));
    out.vectors.push_back(std::move(value));
  }
  return out;
}

std::vector<pipeline::ScoredId> ScoredFrom(const google::protobuf::RepeatedPtrField<types_pb::ScoredItem>& items) {
  std::vector<pipeline::ScoredId> out;
  for (const types_pb::ScoredItem& item : items) out.push_back({item.item_id(), item.score()});
  return out;
}

absl::StatusOr<std::vector<pipeline::ContextEvent>> EventsFrom(const store_pb::GetUserContextResponse& response) {
  std::map<std::string, pipeline::ItemRecord> items;
  for (const types_pb::ItemRecord& record : response.items()) {
    PALATE_ASSIGN_OR_RETURN(items[record.item().id()], RecordFrom(record));
  }
  std::vector<pipeline::ContextEvent> events;
  for (const store_pb::ContextEvent& event : response.events()) {
    pipeline::ContextEvent out;
    PALATE_ASSIGN_OR_RETURN(out.event, FromProto(event.event(), /*time_required=*/false));
    out.weight = event.weight();
    const auto item = items.find(out.event.item_id);
    if (item != items.end()) out.item = item->second;
    events.push_back(std::move(out));
  }
  return events;
}

}  // namespace

absl::StatusOr<pipeline::UserContext> FeatureStoreClient::GetUserContext(const pipeline::UserContextQuery& query, absl::Time deadline) {
  store_pb::GetUserContextRequest request;
  request.set_catalog(query.catalog);
  request.set_user_id(query.user_id);
  request.set_max_events(query.max_events);
  if (query.request_time != absl::InfiniteFuture()) *request.mutable_request_time() = ToProto(query.request_time);
  request.mutable_spaces()->Assign(query.spaces.begin(), query.spaces.end());
  request.set_num_trending(query.num_trending);
  request.set_num_fresh(query.num_fresh);
  store_pb::GetUserContextResponse response;
  PALATE_RETURN_IF_ERROR(CallUnary(stub_.async(), &StoreAsync::GetUserContext, request, response, deadline));
  pipeline::UserContext context;
  PALATE_ASSIGN_OR_RETURN(context.catalog, FromProto(response.catalog()));
  for (const types_pb::SpaceKey& space : response.active_spaces()) context.active_spaces.push_back(FromProto(space));
  if (response.has_user()) {
    PALATE_ASSIGN_OR_RETURN(context.user, FromProto(response.user()));
  }
  PALATE_ASSIGN_OR_RETURN(context.events, EventsFrom(response));
  context.seen_item_ids.assign(response.seen_item_ids().begin(), response.seen_item_ids().end());
  context.trending = ScoredFrom(response.trending());
  context.fresh = ScoredFrom(response.fresh());
  context.total_events = response.events_size() + (response.has_more_events() ? 1 : 0);
  return context;
}

absl::StatusOr<std::vector<std::optional<pipeline::ItemRecord>>> FeatureStoreClient::GetItems(const std::string& catalog,
                                                                                              const std::vector<std::string>& item_ids,
                                                                                              const std::vector<std::string>& spaces,
                                                                                              absl::Time deadline) {
  std::map<std::string, pipeline::ItemRecord> found;
  for (size_t begin = 0; begin < item_ids.size(); begin += kMaxBatchElements) {
    const size_t end = std::min(item_ids.size(), begin + kMaxBatchElements);
    store_pb::GetItemsRequest request;
    request.set_catalog(catalog);
    request.mutable_item_ids()->Assign(item_ids.begin() + begin, item_ids.begin() + end);
    request.mutable_view()->mutable_spaces()->Assign(spaces.begin(), spaces.end());
    store_pb::GetItemsResponse response;
    PALATE_RETURN_IF_ERROR(CallUnary(stub_.async(), &StoreAsync::GetItems, request, response, deadline));
    for (const types_pb::ItemRecord& record : response.items()) {
      PALATE_ASSIGN_OR_RETURN(found[record.item().id()], RecordFrom(record));
    }
  }
  std::vector<std::optional<pipeline::ItemRecord>> records;
  for (const std::string& id : item_ids) {
    const auto record = found.find(id);
    records.push_back(record == found.end() ? std::nullopt : std::make_optional(record->second));
  }
  return records;
}

absl::Status FeatureStoreClient::WriteImpression(const std::string& catalog, const Impression& impression, absl::Time deadline) {
  store_pb::WriteImpressionRequest request;
  request.set_catalog(catalog);
  request.set_recommendation_id(impression.recommendation_id);
  request.set_user_id(impression.user_id);
  request.set_scenario(impression.scenario);
  request.mutable_item_ids()->Assign(impression.item_ids.begin(), impression.item_ids.end());
  *request.mutable_time() = ToProto(impression.time);
  store_pb::WriteImpressionResponse response;
  return CallUnary(stub_.async(), &StoreAsync::WriteImpression, request, response, deadline);
}

}  // namespace palate::services
