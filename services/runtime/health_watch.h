// The health that a server reports: SERVING for itself and each of its services, NOT_SERVING where
// a health check fails, and NOT_SERVING for all once it stops. Health requests are answered
// immediately, even when every worker is blocked.
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
  // How often the checks are run.
  static constexpr absl::Duration kPeriod = absl::Milliseconds(250);

  // Runs every check once before it returns. Starts a thread if there are checks.
  HealthWatch(grpc::HealthCheckServiceInterface& health, const ServiceSet& services);
  ~HealthWatch();
  HealthWatch(const HealthWatch&) = delete;
  HealthWatch& operator=(const HealthWatch&) = delete;

  // Reports NOT_SERVING for everything from now on. Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run();
  void RunChecks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  grpc::HealthCheckServiceInterface& health_;
  const ServiceSet& services_;
  Mutex mutex_;
  CondVar stopped_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, bool> serving_ ABSL_GUARDED_BY(mutex_);  // by service; "" is the server
  std::thread thread_;
};

}  // namespace palate::services
