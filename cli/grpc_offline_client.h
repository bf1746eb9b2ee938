// offline::Client over gRPC, for import and demo. Thread-safe. Owns the channel provider.
#pragma once

#include "offline/client.h"
#include "palate/catalog/v1/catalog_service.grpc.pb.h"
#include "palate/featurestore/v1/feature_store_service.grpc.pb.h"
#include "palate/recommender/v1/recommender_service.grpc.pb.h"
#include "palate/retrieval/v1/retrieval_service.grpc.pb.h"
#include "services/runtime/channel.h"

namespace palate::services {

class GrpcOfflineClient final : public offline::Client {
 public:
  explicit GrpcOfflineClient(ChannelProvider channel)
      : recommender_(channel), catalogs_(channel), store_(channel), retrieval_(channel) {}

  absl::Status CreateCatalog(const Catalog& catalog, absl::Duration timeout) override;
  absl::StatusOr<Catalog> GetCatalog(const std::string& id, absl::Duration timeout) override;
  absl::Status SetRerankWeight(const std::string& catalog, double weight,
                               absl::Duration timeout) override;
  absl::StatusOr<offline::UpsertOutcome> UpsertItems(const std::string& catalog,
                                                     absl::Span<const offline::ItemUpload> items,
                                                     absl::Duration timeout) override;
  absl::StatusOr<offline::EventsOutcome> WriteEvents(const std::string& catalog,
                                                     absl::Span<const Event> events,
                                                     bool allow_late,
                                                     absl::Duration timeout) override;
  // Unimplemented when the server is a gateway alone, which has neither backlog nor index.
  absl::StatusOr<offline::CatalogProgress> GetProgress(const std::string& catalog,
                                                       absl::Duration timeout) override;
  absl::StatusOr<offline::FailingItems> ListFailingItems(const std::string& catalog,
                                                         const std::string& page_token,
                                                         absl::Duration timeout) override;
  // Empty when the server is a gateway alone.
  absl::StatusOr<std::string> GetStoreIncarnation(absl::Duration timeout) override;
  absl::StatusOr<offline::Answer> Recommend(const pipeline::RecommendQuery& query,
                                            absl::Duration timeout) override;

 private:
  LazyStub<palate::recommender::v1::RecommenderService> recommender_;
  LazyStub<palate::catalog::v1::CatalogService> catalogs_;
  LazyStub<palate::featurestore::v1::FeatureStoreService> store_;
  LazyStub<palate::retrieval::v1::RetrievalService> retrieval_;
};

}  // namespace palate::services
