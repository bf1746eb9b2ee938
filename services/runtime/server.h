// A running gRPC server over a ServiceSet: health checking, reflection, limits, and an orderly end.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "absl/status/statusor.h"
#include "services/runtime/health_watch.h"
#include "services/runtime/server_config.h"
#include "services/runtime/service_set.h"

namespace palate::services {

class Server {
 public:
  // Starts serving. An empty config.listen serves in-process channels only. Unavailable when the
  // address cannot be bound.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerConfig& config,
                                                       ServiceSet services);
  // Drains.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The bound port; 0 when it serves in-process channels only.
  int port() const { return port_; }
  // A channel to this server without a socket. Thread-safe; must not be used after the server is
  // gone.
  std::shared_ptr<grpc::Channel> InProcessChannel() const;

  // Health turns NOT_SERVING, new calls are refused, calls in flight get config.drain to end; what
  // is left then is cancelled. Idempotent.
  void Drain();

 private:
  Server(const ServerConfig& config, ServiceSet services)
      : config_(config), services_(std::move(services)) {}
  absl::Status Build();

  const ServerConfig config_;
  ServiceSet services_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<HealthWatch> health_;
  int port_ = 0;
  bool drained_ = false;
};

}  // namespace palate::services
