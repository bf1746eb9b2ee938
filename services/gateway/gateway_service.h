// The gateway as a whole: configuration, and the services over channels to the four parts.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "pipeline/options.h"
#include "services/runtime/channel.h"
#include "services/runtime/config.h"
#include "services/runtime/service_set.h"

namespace palate::services {

struct GatewayConfig {
  // Addresses of the parts, host:port. Not used in one process.
  std::string feature_store = "127.0.0.1:7101";
  std::string embedding = "127.0.0.1:7102";
  std::string retrieval = "127.0.0.1:7103";
  std::string ranking = "127.0.0.1:7104";
  int threads = 32;  // requests in progress; most of their time is waiting for other parts
  int queue_limit =
      256;  // requests that wait for a thread; more are refused with RESOURCE_EXHAUSTED
  // Of callers that set no deadline.
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

// RecommenderService alone: beside a feature store in the same server, which serves CatalogService
// itself.
absl::StatusOr<ServiceSet> MakeRecommenderServices(const GatewayConfig& config,
                                                   const GatewayChannels& channels);
// RecommenderService, and CatalogService passed on: what palate-gateway serves, over DialParts.
absl::StatusOr<ServiceSet> MakeGatewayServices(const GatewayConfig& config);

}  // namespace palate::services
