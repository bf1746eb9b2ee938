// A running gRPC server of a ServiceSet, with health checks, reflection, limits and an orderly
// shutdown.
//
// Usage:
//   ServerConfig config;
//   config.listen = "127.0.0.1:0";
//   PALATE_ASSIGN_OR_RETURN(std::unique_ptr<Server> server,
//                           Server::Start(config, std::move(services)));
//   const std::string address = absl::StrCat("127.0.0.1:", server->port());
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
  // Starts serving. With an empty config.listen, only in-process channels are served. Unavailable
  // when the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerConfig& config,
                                                       ServiceSet services);
  // Drains.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The bound port; 0 when only in-process channels are served.
  int port() const { return port_; }
  // A channel to this server without a socket. Thread-safe. The channel must not be used after the
  // server was destroyed.
  std::shared_ptr<grpc::Channel> InProcessChannel() const;

  // Turns health NOT_SERVING, refuses new calls, and waits at most config.drain for calls in
  // progress; then cancels the remaining ones. Idempotent.
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
