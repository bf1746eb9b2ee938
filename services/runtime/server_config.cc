#include "services/runtime/server_config.h"

namespace palate::services {

void ServerConfig::Bind(Config& config) {
  config.AddString("server.listen", &listen,
                   "Address and port to serve on. Port 0 takes a free one, which is printed. "
                   "Default: this machine only.");
  config.AddString("server.port_file", &port_file,
                   "File that the port is written to once the server serves. Empty: none.");
  config.AddString("server.log_level", &log_level, "debug, info, warning or error.");

  config.AddInt("server.max_message_bytes", &max_message_bytes, 1024, kMaxMessageBytes,
                "Largest message in bytes, both ways; a larger one is RESOURCE_EXHAUSTED.");
  config.AddInt64("server.memory_quota_bytes", &memory_quota_bytes, 16 << 20, int64_t{1} << 40,
                  "Memory that gRPC may use for messages in flight, in bytes.");
  config.AddInt("server.max_concurrent_streams", &max_concurrent_streams, 1, 100'000,
                "Calls in flight on one connection.");
  config.AddInt("server.max_grpc_threads", &max_grpc_threads, 4, 1024,
                "Threads that gRPC itself may use.");

  config.AddMilliseconds("server.drain_ms", &drain, 0, 600'000,
                         "How long calls in flight may take to end after SIGTERM.");
  config.AddMilliseconds("server.keepalive_time_ms", &keepalive_time, 1000, 86'400'000,
                         "A silent connection is asked for a sign of life after this time.");
  config.AddMilliseconds("server.keepalive_timeout_ms", &keepalive_timeout, 100, 600'000,
                         "A connection that gives none for this long is closed.");
  config.AddMilliseconds("server.min_ping_interval_ms", &min_ping_interval, 0, 600'000,
                         "A caller that pings more often is cut off.");
}

}  // namespace palate::services
