#include "services/runtime/server_config.h"

namespace palate::services {

void ServerConfig::Bind(Config& config) {
  config.AddString("server.listen", &listen,
                   "Address and port to listen on. Port 0 picks a free port, which is printed. The "
                   "default accepts only local connections.");
  config.AddString("server.port_file", &port_file,
                   "File to which the port is written once the server accepts calls. Empty: none.");
  config.AddString("server.log_level", &log_level, "Log level: debug, info, warning or error.");

  config.AddInt("server.max_message_bytes", &max_message_bytes, 1024, kMaxMessageBytes,
                "Maximum size of a message in bytes, in both directions; larger messages are "
                "refused with RESOURCE_EXHAUSTED.");
  config.AddInt64("server.memory_quota_bytes", &memory_quota_bytes, 16 << 20, int64_t{1} << 40,
                  "Bytes of memory that gRPC may use for messages in transit.");
  config.AddInt("server.max_concurrent_streams", &max_concurrent_streams, 1, 100'000,
                "Calls in progress on one connection.");
  config.AddInt("server.max_grpc_threads", &max_grpc_threads, 4, 1024,
                "Maximum number of gRPC's threads.");

  config.AddMilliseconds("server.drain_ms", &drain, 0, 600'000,
                         "How long calls in progress may take to end after SIGTERM.");
  config.AddMilliseconds("server.keepalive_time_ms", &keepalive_time, 1000, 86'400'000,
                         "An idle connection is pinged after this time.");
  config.AddMilliseconds("server.keepalive_timeout_ms", &keepalive_timeout, 100, 600'000,
                         "A connection that does not answer a ping within this time is closed.");
  config.AddMilliseconds("server.min_ping_interval_ms", &min_ping_interval, 0, 600'000,
                         "Callers that ping more often are disconnected.");
}

}  // namespace palate::services
