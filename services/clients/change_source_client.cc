#include "services/clients/change_source_client.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "base/status.h"
#include "domain/limits.h"
#include "services/convert/change_convert.h"
#include "services/convert/types_convert.h"

namespace palate::services {
namespace {

namespace catalog_pb = palate::catalog::v1;
using StoreAsync = store_pb::FeatureStoreService::StubInterface::async_interface;
using CatalogAsync = catalog_pb::CatalogService::StubInterface::async_interface;

// Requests everything that an index stores of an item, including the vectors of a model that a
// space is being switched to.
void WantVectors(store_pb::ItemView& view) {
  view.set_all_spaces(true);
  view.set_all_fingerprints(true);
}

absl::StatusOr<std::vector<retrieval::ItemUpdate>> Updates(
    const google::protobuf::RepeatedPtrField<types_pb::ItemRecord>& records) {
  std::vector<retrieval::ItemUpdate> updates(static_cast<size_t>(records.size()));
  for (int i = 0; i < records.size(); ++i)
    PALATE_RETURN_IF_ERROR(FromProto(records[i], updates[static_cast<size_t>(i)]));
  return updates;
}

}  // namespace

struct ChangeSourceClient::Stream {
  explicit Stream(std::shared_ptr<const Cancellation> cancellation)
      : context({absl::InfiniteFuture(), std::move(cancellation)}) {}
  ~Stream() {
    context.get()->TryCancel();
    reader.Finish().IgnoreError();
  }

  BoundContext context;
  store_pb::WatchChangesRequest request;
  StreamReader<store_pb::WatchChangesResponse> reader;
  std::string position;  // after the last change that was read
};

ChangeSourceClient::ChangeSourceClient(ChannelProvider channel, absl::Duration call_timeout)
    : store_(channel), catalogs_(channel), call_timeout_(call_timeout) {}

ChangeSourceClient::~ChangeSourceClient() = default;

absl::StatusOr<std::vector<retrieval::CatalogConfig>> ChangeSourceClient::ListCatalogs() {
  store_pb::GetStatsResponse stats;
  PALATE_RETURN_IF_ERROR(CallUnary(store_.async(), &StoreAsync::GetStats,
                                   store_pb::GetStatsRequest(), stats, NewContext()));

  std::map<std::string, std::map<std::string, std::string>> active;
  for (const store_pb::CatalogStats& catalog : stats.catalogs()) {
    for (const store_pb::SpaceStats& space : catalog.spaces()) {
      if (!space.active_fingerprint().empty())
        active[catalog.catalog()][space.name()] = space.active_fingerprint();
    }
  }

  std::vector<retrieval::CatalogConfig> configs;
  catalog_pb::ListCatalogsRequest request;
  do {
    catalog_pb::ListCatalogsResponse response;
    PALATE_RETURN_IF_ERROR(
        CallUnary(catalogs_.async(), &CatalogAsync::ListCatalogs, request, response, NewContext()));

    for (const types_pb::Catalog& listed : response.catalogs()) {
      PALATE_ASSIGN_OR_RETURN(Catalog catalog, FromProto(listed));
      retrieval::CatalogConfig config;
      config.id = catalog.id;
      config.create_time = catalog.create_time;
      config.attributes = std::move(catalog.attributes);
      for (const SpaceDeclaration& space : catalog.spaces) config.spaces.push_back(space.name);
      config.active_fingerprints = active[catalog.id];
      configs.push_back(std::move(config));
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return configs;
}

absl::StatusOr<std::string> ChangeSourceClient::CurrentPosition() {
  // The stream's first message has the position of the feed's end; later messages continue from it.
  CloseStream();
  PALATE_ASSIGN_OR_RETURN(stream_, OpenStream(""));
  return stream_->position;
}

absl::StatusOr<retrieval::ItemPage> ChangeSourceClient::ListItems(const std::string& catalog,
                                                                  const std::string& page_token) {
  store_pb::ListItemsRequest request;
  request.set_catalog(catalog);
  request.set_page_size(kMaxPageElements);
  request.set_page_token(page_token);
  WantVectors(*request.mutable_view());

  store_pb::ListItemsResponse response;
  PALATE_RETURN_IF_ERROR(
      CallUnary(store_.async(), &StoreAsync::ListItems, request, response, NewContext()));

  retrieval::ItemPage page;
  PALATE_ASSIGN_OR_RETURN(page.items, Updates(response.items()));
  page.next_page_token = response.next_page_token();
  return page;
}

absl::StatusOr<std::vector<retrieval::ItemUpdate>> ChangeSourceClient::GetItems(
    const std::string& catalog, const std::vector<std::string>& item_ids) {
  store_pb::GetItemsRequest request;
  request.set_catalog(catalog);
  request.mutable_item_ids()->Assign(item_ids.begin(), item_ids.end());
  WantVectors(*request.mutable_view());

  store_pb::GetItemsResponse response;
  PALATE_RETURN_IF_ERROR(
      CallUnary(store_.async(), &StoreAsync::GetItems, request, response, NewContext()));
  return Updates(response.items());
}

absl::StatusOr<std::unique_ptr<ChangeSourceClient::Stream>> ChangeSourceClient::OpenStream(
    const std::string& position) {
  auto stream = std::make_unique<Stream>(cancellation_);
  stream->request.set_resume_token(position);
  stream->reader.Start([&](grpc::ClientReadReactor<store_pb::WatchChangesResponse>* reactor) {
    store_.async()->WatchChanges(stream->context.get(), &stream->request, reactor);
  });

  store_pb::WatchChangesResponse first;
  bool timed_out = false;
  if (!stream->reader.Read(first, absl::Now() + call_timeout_, &timed_out)) {
    if (timed_out)
      return absl::DeadlineExceededError("the feature store did not start to send changes");
    PALATE_RETURN_IF_ERROR(stream->reader.Finish());
    return absl::UnavailableError("the feature store ended the stream of changes");
  }

  stream->position = first.next_token();
  return stream;
}

void ChangeSourceClient::CloseStream() { stream_.reset(); }

absl::StatusOr<retrieval::ChangeBatch> ChangeSourceClient::WatchChanges(const std::string& position,
                                                                        absl::Duration timeout) {
  if (stream_ == nullptr || stream_->position != position) {
    CloseStream();
    PALATE_ASSIGN_OR_RETURN(stream_, OpenStream(position));
  }

  retrieval::ChangeBatch batch;
  batch.next_position = position;
  store_pb::WatchChangesResponse message;
  bool timed_out = false;
  if (stream_->reader.Read(message, absl::Now() + timeout, &timed_out)) {
    for (const store_pb::Change& change : message.changes()) {
      PALATE_ASSIGN_OR_RETURN(std::optional<retrieval::Change> converted, FromProto(change));
      if (converted.has_value()) batch.changes.push_back(*std::move(converted));
    }
    batch.next_position = stream_->position = message.next_token();
    return batch;
  }

  if (timed_out) return batch;
  const absl::Status status = stream_->reader.Finish();
  CloseStream();
  if (status.ok()) return absl::UnavailableError("the feature store ended the stream of changes");
  return status;
}

void ChangeSourceClient::Cancel() { cancellation_->Cancel(); }

}  // namespace palate::services
