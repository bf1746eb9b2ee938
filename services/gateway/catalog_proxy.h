// Forwards CatalogService from the gateway to the feature store, so that a product backend needs
// only one address.
//
// Thread-safe.
#pragma once

#include "absl/time/time.h"
#include "services/runtime/channel.h"
#include "services/runtime/forward.h"
#include "services/runtime/rpc_service.h"

namespace palate::services {

class CatalogProxy final : public RpcService {
 public:
  // `store` is a channel to the feature store. Calls without a deadline end after
  // `default_timeout`.
  CatalogProxy(ChannelProvider store, absl::Duration default_timeout, ThreadPool& pool);

 private:
  ForwardTarget store_;
};

}  // namespace palate::services
