// What a server says about its health: SERVING for itself and each of its services, NOT_SERVING
// where a health check fails, and NOT_SERVING for all once it stops. Who asks is answered at once,
// also while everything else is stuck.
#pragma once

#include <grpcpp/health_check_service_interface.h>

#include <map>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "services/runtime/service_set.h"

namespace palate::services {

// Thread-safe. Borrows `health`, and the checks of `services`.
class HealthWatch {
 public:
  // How often checks are asked.
  static constexpr absl::Duration kPeriod = absl::Milliseconds(250);

  // Asks every check once before it returns; with checks, starts a thread.
  HealthWatch(grpc::HealthCheckServiceInterface& health, const ServiceSet& services);
  ~HealthWatch();
  HealthWatch(const HealthWatch&) = delete;
  HealthWatch& operator=(const HealthWatch&) = delete;

  // From now on everything is NOT_SERVING. Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run();
  void Ask() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  grpc::HealthCheckServiceInterface& health_;
  const ServiceSet& services_;
  Mutex mutex_;
  CondVar stopped_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, bool> serving_ ABSL_GUARDED_BY(mutex_);  // by service; "" is the server
  std::thread thread_;
};

}  // namespace palate::services
