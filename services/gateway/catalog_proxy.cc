#include "services/gateway/catalog_proxy.h"

#include <utility>

#include "absl/time/clock.h"
#include "services/runtime/client_call.h"

namespace palate::services {

namespace catalog_pb = palate::catalog::v1;
using Stub = catalog_pb::CatalogService::StubInterface::async_interface;

CatalogProxy::CatalogProxy(ChannelProvider store, absl::Duration default_deadline, ThreadPool& pool)
    : RpcService(catalog_pb::CatalogService::service_full_name(), pool), store_(std::move(store)), default_deadline_(default_deadline) {
  Unary("CreateCatalog", this, &CatalogProxy::CreateCatalog);
  Unary("GetCatalog", this, &CatalogProxy::GetCatalog);
  Unary("UpdateCatalog", this, &CatalogProxy::UpdateCatalog);
  Unary("ListCatalogs", this, &CatalogProxy::ListCatalogs);
  Unary("DeleteCatalog", this, &CatalogProxy::DeleteCatalog);
  CheckComplete();
}

absl::Time CatalogProxy::DeadlineFor(const Call& call) const {
  return call.deadline() == absl::InfiniteFuture() ? absl::Now() + default_deadline_ : call.deadline();
}

absl::Status CatalogProxy::CreateCatalog(Call& call, const catalog_pb::CreateCatalogRequest& request,
                                         catalog_pb::CreateCatalogResponse& response) {
  return CallUnary(store_.async(), &Stub::CreateCatalog, request, response, DeadlineFor(call));
}

absl::Status CatalogProxy::GetCatalog(Call& call, const catalog_pb::GetCatalogRequest& request, catalog_pb::GetCatalogResponse& response) {
  return CallUnary(store_.async(), &Stub::GetCatalog, request, response, DeadlineFor(call));
}

absl::Status CatalogProxy::UpdateCatalog(Call& call, const catalog_pb::UpdateCatalogRequest& request,
                                         catalog_pb::UpdateCatalogResponse& response) {
  return CallUnary(store_.async(), &Stub::UpdateCatalog, request, response, DeadlineFor(call));
}

absl::Status CatalogProxy::ListCatalogs(Call& call, const catalog_pb::ListCatalogsRequest& request,
                                        catalog_pb::ListCatalogsResponse& response) {
  return CallUnary(store_.async(), &Stub::ListCatalogs, request, response, DeadlineFor(call));
}

absl::Status CatalogProxy::DeleteCatalog(Call& call, const catalog_pb::DeleteCatalogRequest& request,
                                         catalog_pb::DeleteCatalogResponse& response) {
  return CallUnary(store_.async(), &Stub::DeleteCatalog, request, response, DeadlineFor(call));
}

}  // namespace palate::services
