// CatalogService passed on from the gateway to the feature store, so that a product backend needs to know one address only.
//
// Thread-safe.
#pragma once

#include "palate/catalog/v1/catalog_service.grpc.pb.h"
#include "services/runtime/channel.h"
#include "services/runtime/rpc_service.h"

namespace palate::services {

class CatalogProxy final : public RpcService {
 public:
  CatalogProxy(ChannelProvider store, absl::Duration default_deadline, ThreadPool& pool);

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

  absl::Time DeadlineFor(const Call& call) const;

  LazyStub<palate::catalog::v1::CatalogService> store_;
  const absl::Duration default_deadline_;
};

}  // namespace palate::services
