// The complete retrieval service: configuration, the indexes with their follower, and the gRPC
// service.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "retrieval/follower.h"
#include "retrieval/index_set.h"
#include "services/runtime/channel.h"
#include "services/runtime/config.h"
#include "services/runtime/service_set.h"

namespace palate::services {

struct RetrievalConfig {
  std::string feature_store = "127.0.0.1:7101";  // not used in one process
  int threads = 8;
  int queue_limit = 256;
  absl::Duration call_timeout = absl::Seconds(10);
  retrieval::IndexSetOptions indexes;
  retrieval::FollowerOptions follower;

  void Bind(Config& config);
};

// `feature_store` is called once the server has started.
absl::StatusOr<ServiceSet> MakeRetrievalServices(const RetrievalConfig& config,
                                                 ChannelProvider feature_store);
// The same, with a TCP channel to config.feature_store.
absl::StatusOr<ServiceSet> MakeRemoteRetrievalServices(const RetrievalConfig& config);

}  // namespace palate::services
