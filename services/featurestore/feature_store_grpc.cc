#include "services/featurestore/feature_store_grpc.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "domain/limits.h"
#include "services/convert/types_convert.h"
#include "services/convert/user_context_convert.h"
#include "services/featurestore/feature_store_convert.h"
#include "services/runtime/status_convert.h"

namespace palate::services {
namespace {

namespace pb = palate::featurestore::v1;
using google::protobuf::RepeatedPtrField;

// Leaves room below the message limit for errors of the size estimate.
constexpr size_t kMaxPageBytes = 24 << 20;

// The library sees only the elements that could be converted, so the request's own size is checked
// here.
absl::Status CheckBatch(absl::string_view list, int size, int limit) {
  if (size >= 1 && size <= limit) return absl::OkStatus();
  return InvalidField(list, size == 0 ? "is empty" : absl::StrCat("has ", size, " elements"),
                      absl::StrCat("of 1 to ", limit, " elements"));
}

std::vector<std::string> Strings(const RepeatedPtrField<std::string>& in) {
  return {in.begin(), in.end()};
}

}  // namespace

FeatureStoreGrpc::FeatureStoreGrpc(featurestore::FeatureStore& store, WorkerStats worker_stats,
                                   DropQueries drop_queries, WatchStreams& watch, ThreadPool& reads,
                                   ThreadPool& writes)
    : RpcService("palate.featurestore.v1.FeatureStoreService", reads),
      store_(store),
      worker_stats_(std::move(worker_stats)),
      drop_queries_(std::move(drop_queries)) {
  Unary("UpsertItems", this, &FeatureStoreGrpc::UpsertItems, &writes);
  Unary("GetItems", this, &FeatureStoreGrpc::GetItems);
  Unary("DeleteItems", this, &FeatureStoreGrpc::DeleteItems, &writes);
  Unary("ListItems", this, &FeatureStoreGrpc::ListItems);
  Unary("WriteEvents", this, &FeatureStoreGrpc::WriteEvents, &writes);
  Unary("GetUserContext", this, &FeatureStoreGrpc::GetUserContext);
  Unary("UpsertUsers", this, &FeatureStoreGrpc::UpsertUsers, &writes);
  Unary("PurgeUser", this, &FeatureStoreGrpc::PurgeUser, &writes);
  Unary("WriteImpression", this, &FeatureStoreGrpc::WriteImpression, &writes);
  Unary("PutVectors", this, &FeatureStoreGrpc::PutVectors, &writes);
  Unary("GetStats", this, &FeatureStoreGrpc::GetStats);
  Reactor("WatchChanges", [&watch](grpc::CallbackServerContext*, const grpc::ByteBuffer* request) {
    return watch.Open(*request);
  });

  CheckComplete();
}

absl::Status FeatureStoreGrpc::UpsertItems(Call&, const pb::UpsertItemsRequest& request,
                                           pb::UpsertItemsResponse& response) {
  PALATE_RETURN_IF_ERROR(CheckBatch("writes", request.writes_size(), kMaxBatchElements));

  const auto batch = ConvertBatch<featurestore::ItemWrite>(
      "writes", request.writes(), *response.mutable_failures(),
      [](const types_pb::ItemWrite& write) { return FromProto(write); });
  response.mutable_revisions()->Resize(request.writes_size(), 0);
  // An unknown catalog is an error even if no element is left to write.
  if (batch.values.empty()) return store_.GetCatalog(request.catalog()).status();

  PALATE_ASSIGN_OR_RETURN(const featurestore::UpsertItemsResult result,
                          store_.UpsertItems(request.catalog(), batch.values));

  for (size_t i = 0; i < result.revisions.size(); ++i) {
    response.set_revisions(static_cast<int>(batch.positions[i]), result.revisions[i]);
  }
  response.set_num_changed(result.num_changed);
  AddFailures("writes", result.failures, batch.positions, *response.mutable_failures());
  AddFailures("writes", result.part_failures, batch.positions, *response.mutable_part_failures());
  return absl::OkStatus();
}

absl::Status FeatureStoreGrpc::GetItems(Call&, const pb::GetItemsRequest& request,
                                        pb::GetItemsResponse& response) {
  PALATE_ASSIGN_OR_RETURN(
      const featurestore::GetItemsResult result,
      store_.GetItems(request.catalog(), Strings(request.item_ids()), FromProto(request.view())));

  for (const std::optional<featurestore::StoredItem>& item : result.items) {
    if (item.has_value()) *response.add_items() = ToProto(*item);
  }
  AddFailures("item_ids", result.failures, {}, *response.mutable_failures());
  return absl::OkStatus();
}

absl::Status FeatureStoreGrpc::DeleteItems(Call&, const pb::DeleteItemsRequest& request,
                                           pb::DeleteItemsResponse& response) {
  PALATE_ASSIGN_OR_RETURN(const auto failures,
                          store_.DeleteItems(request.catalog(), Strings(request.item_ids())));
  AddFailures("item_ids", failures, {}, *response.mutable_failures());
  return absl::OkStatus();
}

absl::Status FeatureStoreGrpc::ListItems(Call& call, const pb::ListItemsRequest& request,
                                         pb::ListItemsResponse& response) {
  if (request.page_size() < 0 || request.page_size() > kMaxPageElements) {
    return InvalidField("page_size", absl::StrCat("is ", request.page_size()),
                        absl::StrCat("0 to ", kMaxPageElements));
  }
  int page_size = request.page_size() == 0 ? kDefaultPageElements : request.page_size();

  while (true) {
    PALATE_RETURN_IF_ERROR(call.Check());
    featurestore::ItemReadOptions options = FromProto(request.view());
    options.only_failing = request.only_failing();
    PALATE_ASSIGN_OR_RETURN(
        const featurestore::ItemPage page,
        store_.ListItems(request.catalog(), page_size, request.page_token(), options));
    response.Clear();
    for (const featurestore::StoredItem& item : page.items) *response.add_items() = ToProto(item);
    response.set_next_page_token(page.next_page_token);
    if (response.ByteSizeLong() <= kMaxPageBytes || page_size == 1) return absl::OkStatus();
    page_size = std::max(1, page_size / 4);
  }
}

absl::Status FeatureStoreGrpc::WriteEvents(Call&, const pb::WriteEventsRequest& request,
                                           pb::WriteEventsResponse& response) {
  PALATE_RETURN_IF_ERROR(CheckBatch("events", request.events_size(), kMaxBatchEvents));
  const auto batch = ConvertBatch<Event>(
      "events", request.events(), *response.mutable_failures(),
      [](const types_pb::Event& event) { return FromProto(event, /*time_required=*/true); });

  if (batch.values.empty()) return store_.GetCatalog(request.catalog()).status();
  featurestore::WriteEventsOptions options;
  options.skip_lateness_bound = request.allow_late();
  PALATE_ASSIGN_OR_RETURN(const featurestore::WriteEventsResult result,
                          store_.WriteEvents(request.catalog(), batch.values, options));
  response.set_written(result.num_written);
  response.set_duplicates(result.num_duplicates);
  AddFailures("events", result.failures, batch.positions, *response.mutable_failures());
  return absl::OkStatus();
}

absl::Status FeatureStoreGrpc::GetUserContext(Call&, const pb::GetUserContextRequest& request,
                                              pb::GetUserContextResponse& response) {
  if (request.max_events() < 0 || request.max_events() > kMaxUserEvents) {
    return InvalidField("max_events", absl::StrCat("is ", request.max_events()),
                        absl::StrCat("0 to ", kMaxUserEvents));
  }

  PALATE_ASSIGN_OR_RETURN(const UserContextQuery query, FromProto(request));
  PALATE_ASSIGN_OR_RETURN(UserContext context, store_.GetUserContext(query));
  response = ToProto(std::move(context));
  return absl::OkStatus();
}

absl::Status FeatureStoreGrpc::UpsertUsers(Call&, const pb::UpsertUsersRequest& request,
                                           pb::UpsertUsersResponse& response) {
  PALATE_RETURN_IF_ERROR(CheckBatch("users", request.users_size(), kMaxBatchElements));
  const auto batch = ConvertBatch<User>("users", request.users(), *response.mutable_failures(),
                                        [](const types_pb::User& user) { return FromProto(user); });

  if (batch.values.empty()) return store_.GetCatalog(request.catalog()).status();
  PALATE_ASSIGN_OR_RETURN(const auto failures, store_.UpsertUsers(request.catalog(), batch.values));
  AddFailures("users", failures, batch.positions, *response.mutable_failures());
  return absl::OkStatus();
}

absl::Status FeatureStoreGrpc::PurgeUser(Call& call, const pb::PurgeUserRequest& request,
                                         pb::PurgeUserResponse& response) {
  PALATE_ASSIGN_OR_RETURN(const featurestore::PurgeReport report,
                          store_.PurgeUser(request.catalog(), request.user_id()));

  response.set_removed_events(report.events);
  response.set_removed_impressions(report.impressions);
  response.set_removed_profile(report.had_profile);

  // Last, so that vectors of queries that arrived during the purge are dropped too. A failure does
  // not fail the purge, which is complete.
  const absl::Status dropped = drop_queries_(request.catalog(), request.user_id(), call.context());
  if (!dropped.ok())
    spdlog::warn("a purged user's query vectors were not dropped: {}; they will expire",
                 dropped.ToString());
  response.set_dropped_query_vectors(dropped.ok());
  return absl::OkStatus();
}

absl::Status FeatureStoreGrpc::WriteImpression(Call&, const pb::WriteImpressionRequest& request,
                                               pb::WriteImpressionResponse&) {
  Impression impression;
  impression.recommendation_id = request.recommendation_id();
  impression.user_id = request.user_id();
  impression.scenario = request.scenario();
  impression.item_ids = Strings(request.item_ids());
  impression.time = absl::Now();

  if (request.has_time()) {
    PALATE_ASSIGN_OR_RETURN(impression.time, FromProto(request.time(), "time"));
  }
  return store_.WriteImpression(request.catalog(), impression);
}

absl::Status FeatureStoreGrpc::PutVectors(Call&, const pb::PutVectorsRequest& request,
                                          pb::PutVectorsResponse& response) {
  PALATE_RETURN_IF_ERROR(CheckBatch("items", request.items_size(), kMaxBatchElements));
  PALATE_RETURN_IF_ERROR(store_.GetCatalog(request.catalog()).status());

  std::vector<ElementFailure> failures;
  for (int i = 0; i < request.items_size(); ++i) {
    const pb::ItemVectors& item = request.items(i);
    absl::Status status;
    std::vector<SpaceVector> vectors;
    for (int v = 0; v < item.vectors_size() && status.ok(); ++v) {
      absl::StatusOr<SpaceVector> vector = FromProto(item.vectors(v));
      status = PrefixFields(vector.status(), absl::StrCat("vectors[", v, "]"));
      if (vector.ok()) vectors.push_back(*std::move(vector));
    }
    if (status.ok())
      status = store_.PutVectors(request.catalog(), item.item_id(), item.revision(), vectors);
    if (!status.ok()) failures.push_back({static_cast<size_t>(i), status});
  }

  AddFailures("items", failures, {}, *response.mutable_failures());
  return absl::OkStatus();
}

absl::Status FeatureStoreGrpc::GetStats(Call&, const pb::GetStatsRequest&,
                                        pb::GetStatsResponse& response) {
  PALATE_ASSIGN_OR_RETURN(const featurestore::StoreStats stats, store_.GetStats());
  response = ToProto(stats);
  *response.mutable_embedding_worker() = ToProto(worker_stats_());
  return absl::OkStatus();
}

}  // namespace palate::services
