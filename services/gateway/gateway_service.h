// The complete gateway: configuration, and the gRPC services over channels to the four other
// services.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "pipeline/options.h"
#include "services/runtime/channel.h"
#include "services/runtime/config.h"
#include "services/runtime/service_set.h"

namespace palate::services {

struct GatewayConfig {
  // Addresses of the other services, host:port. Not used in one process.
  std::string feature_store = "127.0.0.1:7101";
  std::string embedding = "127.0.0.1:7102";
  std::string retrieval = "127.0.0.1:7103";
  std::string ranking = "127.0.0.1:7104";
  int threads = 32;  // requests in progress; they mostly wait for other services
  // Requests that wait for a thread; more are refused with RESOURCE_EXHAUSTED.
  int queue_limit = 256;
  // For calls without a deadline.
  absl::Duration default_timeout = absl::Seconds(10);
  pipeline::PipelineOptions pipeline;

  void Bind(Config& config);
};

struct GatewayChannels {
  ChannelProvider feature_store;
  ChannelProvider embedding;
  ChannelProvider retrieval;
  ChannelProvider ranking;
};

// TCP channels to the configured addresses.
GatewayChannels DialParts(const GatewayConfig& config);

// RecommenderService only, for a server whose feature store serves CatalogService.
absl::StatusOr<ServiceSet> MakeRecommenderServices(const GatewayConfig& config,
                                                   const GatewayChannels& channels);
// The services of palate-gateway, over DialParts: RecommenderService, and CatalogService, which is
// forwarded.
absl::StatusOr<ServiceSet> MakeGatewayServices(const GatewayConfig& config);

}  // namespace palate::services
