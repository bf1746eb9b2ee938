// The deadline and the cancellation of a call: the last parameter of every function that blocks.
//
// Usage:
//   class Gate {
//    public:
//     absl::Status WaitUntilOpen(const CallContext& context) {
//       // Declared before the lock, because its destructor must not run under the lock.
//       const CancelRegistration wake = context.OnCancel([this] {
//         MutexLock lock(mutex_);
//         changed_.SignalAll();
//       });
//       MutexLock lock(mutex_);
//       while (!open_) {
//         const absl::Time now = absl::Now();
//         PALATE_RETURN_IF_ERROR(context.Check("the wait", now));
//         changed_.WaitFor(mutex_, context.deadline - now);
//       }
//       return absl::OkStatus();
//     }
//
//    private:
//     Mutex mutex_;
//     CondVar changed_;
//     bool open_ = false;
//   };
//
//   Gate gate;
//   const auto cancellation = std::make_shared<Cancellation>();
//   std::thread caller([cancellation] { cancellation->Cancel(); });
//   const absl::Status status = gate.WaitUntilOpen({.cancellation = cancellation});
//   caller.join();
//
// Work without waits calls Check() between its pieces. The caller that starts a call owns the
// cancellation; all others only observe it. A default CallContext has no deadline and is never
// cancelled.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace palate {

// A callback registered with a cancellation. Once the destructor has returned, the callback is not
// running and will not run. The destructor waits for a callback that runs on another thread, so it
// must not be called under a lock that the callback takes. The callback may destroy its own
// registration as its last action.
using CancelRegistration = std::stop_callback<std::function<void()>>;

// Whether a caller has cancelled its call. Thread-safe. The owner cancels; observers hold a
// shared_ptr<const Cancellation>.
class Cancellation {
 public:
  Cancellation() = default;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  // Runs the registered callbacks on this thread, one after the other. Later calls do nothing.
  void Cancel() { source_.request_stop(); }

  bool cancelled() const { return source_.stop_requested(); }

  // `callback` runs once: on the thread that cancels, or immediately on this thread when already
  // cancelled. It must neither block for long nor throw. The registration may outlive this object.
  [[nodiscard]] CancelRegistration OnCancel(std::function<void()> callback) const {
    return CancelRegistration(source_.get_token(), std::move(callback));
  }

 private:
  std::stop_source source_;
};

// A value: cheap to copy; a copy observes the same cancellation.
struct CallContext {
  absl::Time deadline = absl::InfiniteFuture();
  std::shared_ptr<const Cancellation> cancellation = nullptr;  // null: never cancelled

  bool cancelled() const { return cancellation != nullptr && cancellation->cancelled(); }

  // Cancelled or DeadlineExceeded when the caller no longer waits at `now`, OK otherwise. `work` is
  // the subject of the message.
  absl::Status Check(absl::string_view work = "the call", absl::Time now = absl::Now()) const;

  // The same call with the earlier of its deadline and `other`.
  CallContext WithDeadline(absl::Time other) const;

  // Like Cancellation::OnCancel; without a cancellation, `callback` never runs.
  [[nodiscard]] CancelRegistration OnCancel(std::function<void()> callback) const;
};

}  // namespace palate
