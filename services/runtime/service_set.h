// The gRPC services of one server, the objects that they depend on, and the hooks that run when the
// server starts and stops.
//
// Usage:
//   ServiceSet services;
//   ThreadPool* pool = services.Own(
//       std::make_unique<ThreadPool>("echo", /*threads=*/2, /*queue_limit=*/16));
//   const RpcService* echo = services.Add(std::make_unique<CatalogEcho>(*pool));
//   services.AddHealthCheck(echo, [] { return absl::OkStatus(); });
//
// Movable. Not thread-safe: a factory builds it, then a Server owns it.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "services/runtime/rpc_service.h"

namespace palate::services {

class Server;

class ServiceSet {
 public:
  // Keeps `part` alive until the server has stopped. Parts are destroyed in the reverse order of
  // their addition.
  template <typename Part>
  Part* Own(std::unique_ptr<Part> part) {
    Part* raw = part.get();
    parts_.push_back(std::shared_ptr<Part>(std::move(part)));
    return raw;
  }

  // Serves `service`.
  template <typename Service>
  Service* Add(std::unique_ptr<Service> service) {
    services_.push_back(service.get());
    return Own(std::move(service));
  }

  // Runs once the server accepts calls. Start here what calls services of this process or of
  // others.
  using StartedHook = std::function<void(const Server& server)>;
  void OnStarted(StartedHook hook) { started_.push_back(std::move(hook)); }
  // Runs when the server begins to stop, before it waits for calls in progress. End here what would
  // not end otherwise. The hooks run in the reverse order of their addition, so that what uses a
  // service of this process ends before that service does.
  void OnStopping(std::function<void()> hook) { stopping_.push_back(std::move(hook)); }

  // Polled every 250 ms from a dedicated thread; must not block. While it returns an error, the
  // health of `service` and of the server is NOT_SERVING; calls are still accepted.
  void AddHealthCheck(const RpcService* service, std::function<absl::Status()> check) {
    checks_.push_back({service, std::move(check)});
  }

  // Moves everything out of `other`.
  void Merge(ServiceSet other) {
    Append(services_, other.services_);
    Append(checks_, other.checks_);
    Append(parts_, other.parts_);
    Append(started_, other.started_);
    Append(stopping_, other.stopping_);
  }

  struct HealthCheck {
    const RpcService* service;
    std::function<absl::Status()> check;
  };

  const std::vector<RpcService*>& services() const { return services_; }
  const std::vector<HealthCheck>& health_checks() const { return checks_; }
  void RunStarted(const Server& server) const {
    for (const StartedHook& hook : started_) hook(server);
  }
  void RunStopping() const {
    for (auto hook = stopping_.rbegin(); hook != stopping_.rend(); ++hook) (*hook)();
  }

  ServiceSet() = default;
  ServiceSet(ServiceSet&&) = default;
  ServiceSet& operator=(ServiceSet&&) = default;
  ~ServiceSet() {
    while (!parts_.empty()) parts_.pop_back();
  }

 private:
  template <typename T>
  static void Append(std::vector<T>& to, std::vector<T>& from) {
    for (T& element : from) to.push_back(std::move(element));
    from.clear();
  }

  std::vector<RpcService*> services_;
  std::vector<HealthCheck> checks_;
  std::vector<std::shared_ptr<void>> parts_;
  std::vector<StartedHook> started_;
  std::vector<std::function<void()>> stopping_;
};

}  // namespace palate::services
