#include "base/call_context.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace palate {

absl::Status CallContext::Check(absl::string_view work, absl::Time now) const {
  if (cancelled()) return absl::CancelledError(absl::StrCat(work, " was cancelled"));
  if (now >= deadline)
    return absl::DeadlineExceededError(absl::StrCat(work, " did not finish before the deadline"));
  return absl::OkStatus();
}

CallContext CallContext::WithDeadline(absl::Time other) const {
  return {std::min(deadline, other), cancellation};
}

CancelRegistration CallContext::OnCancel(std::function<void()> callback) const {
  if (cancellation == nullptr) return CancelRegistration(std::stop_token(), std::move(callback));
  return cancellation->OnCancel(std::move(callback));
}

}  // namespace palate
