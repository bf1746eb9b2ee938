// Configuration that all servers share: where to listen, and limits on what callers may use.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "domain/limits.h"
#include "services/runtime/config.h"

namespace palate::services {

struct ServerConfig {
  std::string listen = "127.0.0.1:0";
  std::string port_file;
  std::string log_level = "info";
  int max_message_bytes = kMaxMessageBytes;
  int64_t memory_quota_bytes = 1LL << 30;
  int max_concurrent_streams = 1000;
  int max_grpc_threads = 64;
  absl::Duration drain = absl::Seconds(10);
  absl::Duration keepalive_time = absl::Seconds(60);
  absl::Duration keepalive_timeout = absl::Seconds(20);
  absl::Duration min_ping_interval = absl::Seconds(10);

  void Bind(Config& config);
};

}  // namespace palate::services
