#include "cli/grpc_offline_client.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "cli/json.h"
#include "domain/catalog.h"
#include "services/convert/types_convert.h"
#include "services/gateway/recommender_convert.h"
#include "services/runtime/client_call.h"

namespace palate::services {
namespace {

namespace catalog_pb = palate::catalog::v1;
namespace store_pb = palate::featurestore::v1;
namespace retrieval_pb = palate::retrieval::v1;

template <typename Failures>
std::vector<ElementFailure> FromProtoFailures(const Failures& failures) {
  std::vector<ElementFailure> out;
  for (const types_pb::ItemFailure& failure : failures) {
    out.push_back({static_cast<size_t>(failure.index()), FromRpcStatus(failure.status())});
  }
  return out;
}

// Adds the progress of retrieval for the catalog.
void AddIndexProgress(const retrieval_pb::GetStatsResponse& stats, const std::string& catalog,
                      offline::CatalogProgress& progress) {
  const retrieval_pb::FollowerStats& follower = stats.follower();
  if (!follower.ready() || !follower.connected()) return;

  for (const retrieval_pb::CatalogStats& index : stats.catalogs()) {
    if (index.catalog() != catalog || index.items() != progress.items) continue;
    progress.index_idle = follower.lag().seconds() == 0 && follower.lag().nanos() == 0;
    progress.index_current = progress.items == progress.failed_embeddings;
    for (const retrieval_pb::SpaceStats& space : index.spaces()) {
      progress.index_vectors += space.vectors();
      // One space that holds every item will do, since an item's vectors arrive together: "text"
      // or, where items may have a picture only, "fused".
      if (space.active() && space.vectors() >= progress.items - progress.failed_embeddings)
        progress.index_current = true;
    }
  }
}

}  // namespace

absl::Status GrpcOfflineClient::CreateCatalog(const Catalog& catalog, absl::Duration timeout) {
  catalog_pb::CreateCatalogRequest request;
  *request.mutable_catalog() = ToProto(catalog);
  request.mutable_catalog()->clear_create_time();

  request.mutable_catalog()->clear_revision();

  catalog_pb::CreateCatalogResponse response;
  return CallUnary(catalogs_.async(),
                   &catalog_pb::CatalogService::StubInterface::async_interface::CreateCatalog,
                   request, response, {.deadline = absl::Now() + timeout});
}

absl::StatusOr<Catalog> GrpcOfflineClient::GetCatalog(const std::string& id,
                                                      absl::Duration timeout) {
  catalog_pb::GetCatalogRequest request;
  request.set_catalog(id);
  catalog_pb::GetCatalogResponse response;
  PALATE_RETURN_IF_ERROR(CallUnary(
      catalogs_.async(), &catalog_pb::CatalogService::StubInterface::async_interface::GetCatalog,
      request, response, {.deadline = absl::Now() + timeout}));
  return FromProto(response.catalog());
}

absl::Status GrpcOfflineClient::SetRerankWeight(const std::string& catalog, double weight,
                                                absl::Duration timeout) {
  catalog_pb::UpdateCatalogRequest request;
  request.mutable_catalog()->set_id(catalog);

  request.mutable_catalog()->set_rerank_weight(weight);
  request.mutable_update_mask()->add_paths("rerank_weight");

  catalog_pb::UpdateCatalogResponse response;
  return CallUnary(catalogs_.async(),
                   &catalog_pb::CatalogService::StubInterface::async_interface::UpdateCatalog,
                   request, response, {.deadline = absl::Now() + timeout});
}

absl::StatusOr<offline::UpsertOutcome> GrpcOfflineClient::UpsertItems(
    const std::string& catalog, absl::Span<const offline::ItemUpload> items,
    absl::Duration timeout) {
  recommender_pb::UpsertItemsRequest request;
  request.set_catalog(catalog);

  for (const offline::ItemUpload& upload : items) {
    types_pb::Item* item = request.add_writes()->mutable_item();
    *item = ToProto(upload.item);
    item->clear_revision();
    item->clear_images();
    for (const std::string& image : upload.images) item->add_images()->set_data(image);
  }

  recommender_pb::UpsertItemsResponse response;
  PALATE_RETURN_IF_ERROR(
      CallUnary(recommender_.async(),
                &recommender_pb::RecommenderService::StubInterface::async_interface::UpsertItems,
                request, response, {.deadline = absl::Now() + timeout}));

  offline::UpsertOutcome outcome;
  outcome.failures = FromProtoFailures(response.failures());
  outcome.part_failures = FromProtoFailures(response.part_failures());
  outcome.changed = response.num_changed();
  outcome.unchanged =
      static_cast<int64_t>(items.size() - outcome.failures.size()) - outcome.changed;
  return outcome;
}

absl::StatusOr<offline::EventsOutcome> GrpcOfflineClient::WriteEvents(
    const std::string& catalog, absl::Span<const Event> events, bool allow_late,
    absl::Duration timeout) {
  recommender_pb::WriteEventsRequest request;
  request.set_catalog(catalog);
  request.set_allow_late(allow_late);

  for (const Event& event : events) *request.add_events() = ToProto(event);

  recommender_pb::WriteEventsResponse response;
  PALATE_RETURN_IF_ERROR(
      CallUnary(recommender_.async(),
                &recommender_pb::RecommenderService::StubInterface::async_interface::WriteEvents,
                request, response, {.deadline = absl::Now() + timeout}));

  return offline::EventsOutcome{response.written(), response.duplicates(),
                                FromProtoFailures(response.failures())};
}

absl::StatusOr<offline::CatalogProgress> GrpcOfflineClient::GetProgress(const std::string& catalog,
                                                                        absl::Duration timeout) {
  const CallContext context = {.deadline = absl::Now() + timeout};

  store_pb::GetStatsResponse store;
  PALATE_RETURN_IF_ERROR(CallUnary(
      store_.async(), &store_pb::FeatureStoreService::StubInterface::async_interface::GetStats,
      store_pb::GetStatsRequest(), store, context));

  for (const store_pb::CatalogStats& stats : store.catalogs()) {
    if (stats.catalog() != catalog) continue;
    offline::CatalogProgress progress;
    progress.items = stats.items();
    progress.events = stats.events();
    progress.pending_embeddings = stats.embedding_backlog();
    progress.failed_embeddings = stats.embedding_failed();
    progress.failed_parts = stats.items_with_failed_parts();

    retrieval_pb::GetStatsResponse retrieval;
    PALATE_RETURN_IF_ERROR(
        CallUnary(retrieval_.async(),
                  &retrieval_pb::RetrievalService::StubInterface::async_interface::GetStats,
                  retrieval_pb::GetStatsRequest(), retrieval, context));
    AddIndexProgress(retrieval, catalog, progress);
    return progress;
  }
  return absl::NotFoundError(absl::StrCat("catalog ", catalog, " is unknown"));
}

absl::StatusOr<offline::FailingItems> GrpcOfflineClient::ListFailingItems(
    const std::string& catalog, const std::string& page_token, absl::Duration timeout) {
  store_pb::ListItemsRequest request;
  request.set_catalog(catalog);
  request.set_page_token(page_token);
  request.set_only_failing(true);
  store_pb::ListItemsResponse response;
  PALATE_RETURN_IF_ERROR(CallUnary(
      store_.async(), &store_pb::FeatureStoreService::StubInterface::async_interface::ListItems,
      request, response, {.deadline = absl::Now() + timeout}));

  offline::FailingItems page;
  for (const types_pb::ItemRecord& record : response.items()) {
    offline::FailingItem& item = page.items.emplace_back();
    item.id = record.item().id();
    for (const types_pb::PartFailure& failure : record.failed_parts())
      item.failed_parts.push_back(FromProto(failure));
  }
  page.next_page_token = response.next_page_token();
  return page;
}

absl::StatusOr<std::string> GrpcOfflineClient::GetStoreIncarnation(absl::Duration timeout) {
  store_pb::GetStatsResponse stats;
  const absl::Status answered = CallUnary(
      store_.async(), &store_pb::FeatureStoreService::StubInterface::async_interface::GetStats,
      store_pb::GetStatsRequest(), stats, {.deadline = absl::Now() + timeout});
  if (absl::IsUnimplemented(answered)) return std::string();
  PALATE_RETURN_IF_ERROR(answered);
  return stats.store_incarnation();
}

absl::StatusOr<offline::Answer> GrpcOfflineClient::Recommend(const pipeline::RecommendQuery& query,
                                                             absl::Duration timeout) {
  recommender_pb::RecommendResponse response;
  PALATE_RETURN_IF_ERROR(
      CallUnary(recommender_.async(),
                &recommender_pb::RecommenderService::StubInterface::async_interface::Recommend,
                ToProto(query), response, {.deadline = absl::Now() + timeout}));

  offline::Answer answer;
  PALATE_ASSIGN_OR_RETURN(answer.result, FromProto(response));
  PALATE_ASSIGN_OR_RETURN(answer.json, ToJson(response));
  return answer;
}

}  // namespace palate::services
