// Serves FeatureStoreService and CatalogService with the feature store library: converts requests,
// calls, and converts results. Thread-safe.
#pragma once

#include <functional>

#include "featurestore/embedding_worker.h"
#include "featurestore/feature_store.h"
#include "palate/catalog/v1/catalog_service.pb.h"
#include "palate/featurestore/v1/feature_store_service.pb.h"
#include "services/featurestore/watch_streams.h"
#include "services/runtime/rpc_service.h"

namespace palate::services {

class FeatureStoreGrpc final : public RpcService {
 public:
  using WorkerStats = std::function<featurestore::EmbeddingWorker::Stats()>;
  // Drops the user's cached query vectors in the embedding service; may block for seconds.
  using DropQueries = std::function<absl::Status(
      const std::string& catalog, const std::string& user_id, const CallContext& context)>;

  // Borrows the other arguments. Reads and writes have separate pools, so that an import does not
  // delay recommendations.
  FeatureStoreGrpc(featurestore::FeatureStore& store, WorkerStats worker_stats,
                   DropQueries drop_queries, WatchStreams& watch, ThreadPool& reads,
                   ThreadPool& writes);

 private:
  absl::Status UpsertItems(Call& call, const palate::featurestore::v1::UpsertItemsRequest& request,
                           palate::featurestore::v1::UpsertItemsResponse& response);
  absl::Status GetItems(Call& call, const palate::featurestore::v1::GetItemsRequest& request,
                        palate::featurestore::v1::GetItemsResponse& response);
  absl::Status DeleteItems(Call& call, const palate::featurestore::v1::DeleteItemsRequest& request,
                           palate::featurestore::v1::DeleteItemsResponse& response);
  absl::Status ListItems(Call& call, const palate::featurestore::v1::ListItemsRequest& request,
                         palate::featurestore::v1::ListItemsResponse& response);
  absl::Status WriteEvents(Call& call, const palate::featurestore::v1::WriteEventsRequest& request,
                           palate::featurestore::v1::WriteEventsResponse& response);
  absl::Status GetUserContext(Call& call,
                              const palate::featurestore::v1::GetUserContextRequest& request,
                              palate::featurestore::v1::GetUserContextResponse& response);
  absl::Status UpsertUsers(Call& call, const palate::featurestore::v1::UpsertUsersRequest& request,
                           palate::featurestore::v1::UpsertUsersResponse& response);
  absl::Status PurgeUser(Call& call, const palate::featurestore::v1::PurgeUserRequest& request,
                         palate::featurestore::v1::PurgeUserResponse& response);
  absl::Status WriteImpression(Call& call,
                               const palate::featurestore::v1::WriteImpressionRequest& request,
                               palate::featurestore::v1::WriteImpressionResponse& response);
  absl::Status PutVectors(Call& call, const palate::featurestore::v1::PutVectorsRequest& request,
                          palate::featurestore::v1::PutVectorsResponse& response);
  absl::Status GetStats(Call& call, const palate::featurestore::v1::GetStatsRequest& request,
                        palate::featurestore::v1::GetStatsResponse& response);

  featurestore::FeatureStore& store_;
  const WorkerStats worker_stats_;
  const DropQueries drop_queries_;
};

class CatalogGrpc final : public RpcService {
 public:
  // Borrows both.
  CatalogGrpc(featurestore::FeatureStore& store, ThreadPool& pool);

 private:
  absl::Status CreateCatalog(Call& call, const palate::catalog::v1::CreateCatalogRequest& request,
                             palate::catalog::v1::CreateCatalogResponse& response);
  absl::Status GetCatalog(Call& call, const palate::catalog::v1::GetCatalogRequest& request,
                          palate::catalog::v1::GetCatalogResponse& response);
  absl::Status UpdateCatalog(Call& call, const palate::catalog::v1::UpdateCatalogRequest& request,
                             palate::catalog::v1::UpdateCatalogResponse& response);
  absl::Status ListCatalogs(Call& call, const palate::catalog::v1::ListCatalogsRequest& request,
                            palate::catalog::v1::ListCatalogsResponse& response);
  absl::Status DeleteCatalog(Call& call, const palate::catalog::v1::DeleteCatalogRequest& request,
                             palate::catalog::v1::DeleteCatalogResponse& response);

  featurestore::FeatureStore& store_;
};

}  // namespace palate::services
