#include "services/gateway/catalog_proxy.h"

#include <utility>

#include "absl/time/clock.h"
#include "services/runtime/client_call.h"

namespace palate::services {

namespace pb = palate::catalog::v1;
using Stub = pb::CatalogService::StubInterface::async_interface;

CatalogProxy::CatalogProxy(ChannelProvider store, absl::Duration default_deadline, ThreadPool& pool)
    : RpcService(pb::CatalogService::service_full_name(), pool), store_(std::move(store)), default_deadline_(default_deadline) {
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

absl::Status CatalogProxy::CreateCatalog(Call& call, const pb::CreateCatalogRequest& request, pb::CreateCatalogResponse& response) {
  return CallUnary(store_.async(), &Stub::CreateCatalog, request, response, DeadlineFor(call));
}

absl::Status CatalogProxy::GetCatalog(Call& call, const pb::GetCatalogRequest& request, pb::GetCatalogResponse& response) {
  return CallUnary(store_.async(), &Stub::GetCatalog, request, response, DeadlineFor(call));
}

absl::Status CatalogProxy::UpdateCatalog(Call& call, const pb::UpdateCatalogRequest& request, pb::UpdateCatalogResponse& response) {
  return CallUnary(store_.async(), &Stub::UpdateCatalog, request, response, DeadlineFor(call));
}

absl::Status CatalogProxy::ListCatalogs(Call& call, const pb::ListCatalogsRequest& request, pb::ListCatalogsResponse& response) {
  return CallUnary(store_.async(), &Stub::ListCatalogs, request, response, DeadlineFor(call));
}

absl::Status CatalogProxy::DeleteCatalog(Call& call, const pb::DeleteCatalogRequest& request, pb::DeleteCatalogResponse& response) {
  return CallUnary(store_.async(), &Stub::DeleteCatalog, request, response, DeadlineFor(call));
}

}  // namespace palate::services
