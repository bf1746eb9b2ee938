// Until when a caller waits for an answer, and whether it still does: the last parameter of every
// function that blocks.
//
//   absl::StatusOr<Page> Library::Read(const Request& request, const CallContext& context) {
//     // Work that has pieces checks between them.
//     for (const Piece& piece : request.pieces) {
//       PALATE_RETURN_IF_ERROR(context.Check("the read"));
//       ...
//     }
//
//     // A wait is woken; it does not poll. The registration is declared before the lock, so that
//     it is destroyed after the lock. const CancelRegistration wake = context.OnCancel([this] {
//       MutexLock lock(mutex_);
//       changed_.SignalAll();
//     });
//     MutexLock lock(mutex_);
//     while (!ready_) {
//       const absl::Time now = absl::Now();
//       PALATE_RETURN_IF_ERROR(context.Check("the read", now));
//       changed_.WaitFor(mutex_, context.deadline - now);
//     }
//     return ...;
//   }
//
//   // Whoever starts a call owns its cancellation; everybody else only observes it.
//   const auto cancellation = std::make_shared<Cancellation>();
//   library.Read(request, {.deadline = absl::Now() + timeout, .cancellation = cancellation});
//   cancellation->Cancel();  // from another thread
//
//   library.Read(request, {});  // no deadline, never cancelled
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

// A callback that waits for a cancellation. Once the destructor has returned, the callback neither
// runs nor will run; the destructor waits for a callback that runs on another thread, so it must
// not be called while a lock is held that the callback takes. As its last act the callback may
// destroy its registration.
using CancelRegistration = std::stop_callback<std::function<void()>>;

// Whether a caller has given up. Thread-safe. The owner cancels; observers hold a shared_ptr<const
// Cancellation>.
class Cancellation {
 public:
  Cancellation() = default;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  // Runs the registered callbacks on this thread, one after the other. Later calls do nothing.
  void Cancel() { source_.request_stop(); }

  bool cancelled() const { return source_.stop_requested(); }

  // `callback` runs once, on the thread that cancels, or at once on this thread when already
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

  // Why `work`, the subject of the message, is no longer wanted at `now`: Cancelled or
  // DeadlineExceeded. OK while it is.
  absl::Status Check(absl::string_view work = "the call", absl::Time now = absl::Now()) const;

  // The same call with the earlier of its deadline and `other`.
  CallContext WithDeadline(absl::Time other) const;

  // As Cancellation::OnCancel; `callback` never runs when there is no cancellation.
  [[nodiscard]] CancelRegistration OnCancel(std::function<void()> callback) const;
};

}  // namespace palate
