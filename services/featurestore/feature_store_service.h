// The complete feature-store service: configuration, the store with its embedding worker, and the
// gRPC services.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "featurestore/embedding_worker.h"
#include "featurestore/options.h"
#include "services/runtime/channel.h"
#include "services/runtime/config.h"
#include "services/runtime/service_set.h"

namespace palate::services {

struct FeatureStoreConfig {
  std::string embedding = "127.0.0.1:7102";  // not used in one process
  bool relaxed_durability = false;
  int read_threads = 8;
  int write_threads = 8;
  int queue_limit = 256;
  int max_watchers = 64;
  absl::Duration embedding_timeout = absl::Seconds(60);
  featurestore::StoreOptions store;
  featurestore::EmbeddingWorkerOptions worker;

  void Bind(Config& config);
};

// `embedding` is called once the server has started.
absl::StatusOr<ServiceSet> MakeFeatureStoreServices(const FeatureStoreConfig& config,
                                                    ChannelProvider embedding);
// The same, with a TCP channel to config.embedding.
absl::StatusOr<ServiceSet> MakeRemoteFeatureStoreServices(const FeatureStoreConfig& config);

}  // namespace palate::services
