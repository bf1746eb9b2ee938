#include "services/runtime/client_call.h"

#include "absl/time/clock.h"

namespace palate::services {

BoundContext::BoundContext(absl::Time deadline) : call_(Call::Current()) {
  if (deadline != absl::InfiniteFuture()) context_.set_deadline(absl::ToChronoTime(deadline));
  if (call_ != nullptr) listener_ = call_->AddListener([this] { context_.TryCancel(); });
}

BoundContext::~BoundContext() {
  if (call_ != nullptr) call_->RemoveListener(listener_);
}

void StatusWaiter::Set(const grpc::Status& status) {
  MutexLock lock(mutex_);
  status_ = ToAbslStatus(status);
  done_ = true;
  set_.Signal();
}

absl::Status StatusWaiter::Wait() {
  MutexLock lock(mutex_);
  while (!done_) set_.Wait(mutex_);
  return status_;
}

}  // namespace palate::services
