#include "services/runtime/health_watch.h"

#include <pthread.h>

#include <utility>

#include "base/log.h"

namespace palate::services {

HealthWatch::HealthWatch(grpc::HealthCheckServiceInterface& health, const ServiceSet& services)
    : health_(health), services_(services) {
  {
    const MutexLock lock(mutex_);
    RunChecks();
  }

  if (services.health_checks().empty()) return;
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "health-watch");
}

HealthWatch::~HealthWatch() { Stop(); }

void HealthWatch::Stop() {
  {
    const MutexLock lock(mutex_);
    if (std::exchange(stopping_, true)) return;
    health_.SetServingStatus(false);
    stopped_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

void HealthWatch::Run() {
  const MutexLock lock(mutex_);
  while (!stopping_) {
    RunChecks();
    stopped_.WaitFor(mutex_, kPeriod);
  }
}

void HealthWatch::RunChecks() {
  std::map<std::string, bool> serving = {{"", true}};
  for (const RpcService* service : services_.services()) serving[service->service_name()] = true;
  for (const ServiceSet::HealthCheck& check : services_.health_checks()) {
    const absl::Status status = check.check();
    if (status.ok()) continue;
    const std::string& name = check.service->service_name();
    if (serving_.contains(name) && serving_[name])
      spdlog::error("{} is not healthy: {}", name, status.ToString());
    serving[name] = serving[""] = false;
  }

  for (const auto& [name, now] : serving) {
    const auto before = serving_.find(name);
    if (before != serving_.end() && before->second == now) continue;
    if (before != serving_.end() && now)
      spdlog::info("{} is healthy again", name.empty() ? "the server" : name);
    health_.SetServingStatus(name, now);
  }

  serving_ = std::move(serving);
}

}  // namespace palate::services
