#include "services/runtime/client_call.h"

namespace palate::services {

BoundContext::BoundContext(const CallContext& context)
    : cancel_(context.OnCancel([this] { context_.TryCancel(); })) {
  if (context.deadline != absl::InfiniteFuture())
    context_.set_deadline(absl::ToChronoTime(context.deadline));
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
