// Implements retrieval::ChangeSource over FeatureStoreService and CatalogService. Used by one
// thread; Cancel() may be called from any thread.
//
// Usage:
//   ChangeSourceClient source(TcpChannel(address), /*call_timeout=*/absl::Seconds(10));
//   PALATE_ASSIGN_OR_RETURN(const std::string position, source.CurrentPosition());
//   PALATE_ASSIGN_OR_RETURN(const retrieval::ChangeBatch batch,
//                           source.WatchChanges(position, /*timeout=*/absl::Milliseconds(10)));
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/call_context.h"
#include "palate/catalog/v1/catalog_service.grpc.pb.h"
#include "palate/featurestore/v1/feature_store_service.grpc.pb.h"
#include "retrieval/change_source.h"
#include "services/runtime/channel.h"
#include "services/runtime/client_call.h"

namespace palate::services {

class ChangeSourceClient final : public retrieval::ChangeSource {
 public:
  // `call_timeout` limits every call except the stream of changes.
  ChangeSourceClient(ChannelProvider channel, absl::Duration call_timeout);
  ~ChangeSourceClient() override;

  absl::StatusOr<std::vector<retrieval::CatalogConfig>> ListCatalogs() override;
  absl::StatusOr<std::string> CurrentPosition() override;
  absl::StatusOr<retrieval::ItemPage> ListItems(const std::string& catalog,
                                                const std::string& page_token) override;
  absl::StatusOr<std::vector<retrieval::ItemUpdate>> GetItems(
      const std::string& catalog, const std::vector<std::string>& item_ids) override;
  absl::StatusOr<retrieval::ChangeBatch> WatchChanges(const std::string& position,
                                                      absl::Duration timeout) override;
  void Cancel() override;

 private:
  CallContext NewContext() const { return {absl::Now() + call_timeout_, cancellation_}; }

  // A stream of changes that stays open between calls.
  struct Stream;

  absl::StatusOr<std::unique_ptr<Stream>> OpenStream(const std::string& position);
  void CloseStream();

  LazyStub<palate::featurestore::v1::FeatureStoreService> store_;
  LazyStub<palate::catalog::v1::CatalogService> catalogs_;
  const absl::Duration call_timeout_;
  // Cancels every call of this object.
  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
  std::unique_ptr<Stream> stream_;
};

}  // namespace palate::services
