#include "services/gateway/catalog_proxy.h"

#include <utility>

#include "google/protobuf/descriptor.h"
#include "palate/catalog/v1/catalog_service.pb.h"

namespace palate::services {

namespace {

const google::protobuf::ServiceDescriptor& Definition() {
  // Found through a message, so that the linker keeps the generated definition.
  return *palate::catalog::v1::GetCatalogRequest::descriptor()->file()->FindServiceByName(
      "CatalogService");
}

}  // namespace

CatalogProxy::CatalogProxy(ChannelProvider store, absl::Duration default_timeout, ThreadPool& pool)
    : RpcService(Definition().full_name(), pool),
      store_(std::move(store), Definition().full_name()) {
  SetDefaultTimeout(default_timeout);
  for (int i = 0; i < Definition().method_count(); ++i)
    Forward(Definition().method(i)->name(), store_);
  CheckComplete();
}

}  // namespace palate::services
