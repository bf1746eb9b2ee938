// Implements pipeline::FeatureReader over FeatureStoreService. Thread-safe; calls block, at most
// until their deadline.
//
// Usage:
//   FeatureStoreClient store(TcpChannel(address));
//   PALATE_ASSIGN_OR_RETURN(
//       const UserContext user,
//       store.GetUserContext({.catalog = "shop", .user_id = "u1"}, context));
#pragma once

#include "palate/featurestore/v1/feature_store_service.grpc.pb.h"
#include "pipeline/interfaces.h"
#include "services/runtime/channel.h"

namespace palate::services {

class FeatureStoreClient final : public pipeline::FeatureReader {
 public:
  explicit FeatureStoreClient(ChannelProvider channel) : stub_(std::move(channel)) {}

  absl::StatusOr<UserContext> GetUserContext(UserContextQuery query,
                                             const CallContext& context) override;
  absl::StatusOr<std::vector<std::optional<ItemWithVectors>>> GetItems(
      const std::string& catalog, const std::vector<std::string>& item_ids,
      const pipeline::ItemVectors& vectors, const CallContext& context) override;
  absl::Status WriteImpression(const std::string& catalog, const Impression& impression,
                               const CallContext& context) override;

 private:
  LazyStub<palate::featurestore::v1::FeatureStoreService> stub_;
};

}  // namespace palate::services
