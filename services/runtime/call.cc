#include "services/runtime/call.h"

#include "absl/time/clock.h"

namespace palate::services {

absl::Status Call::Check() const {
  if (cancelled()) return absl::CancelledError("the caller cancelled the call");
  if (absl::Now() >= context_.deadline)
    return absl::DeadlineExceededError("the deadline passed before the work began");
  return absl::OkStatus();
}

}  // namespace palate::services
