#include "services/runtime/call.h"

#include <utility>

#include "absl/time/clock.h"

namespace palate::services {
namespace {

thread_local Call* current_call = nullptr;

}  // namespace

absl::Status Call::Check() const {
  if (cancelled()) return absl::CancelledError("the caller has gone");
  if (absl::Now() >= deadline_) return absl::DeadlineExceededError("the deadline passed before the work began");
  return absl::OkStatus();
}

void Call::Cancel() {
  MutexLock lock(mutex_);
  if (cancelled_->exchange(true)) return;
  for (const auto& [id, listener] : listeners_) listener();
}

int Call::AddListener(std::function<void()> listener) {
  MutexLock lock(mutex_);
  if (cancelled()) listener();
  listeners_.emplace(next_listener_, std::move(listener));
  return next_listener_++;
}

void Call::RemoveListener(int id) {
  MutexLock lock(mutex_);
  listeners_.erase(id);
}

Call* Call::Current() { return current_call; }

Call::Scope::Scope(Call* call) : previous_(std::exchange(current_call, call)) {}
Call::Scope::~Scope() { current_call = previous_; }

}  // namespace palate::services
