// One RPC in progress as its handler sees it: until when the caller waits, and whether it still does.
//
// Thread-safe. Handlers run on a pool; while one runs, Call::Current() on its thread is its call, so that client stubs used on that thread
// end with it: a caller that goes away stops what was started for it in other processes too.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace palate::services {

class Call {
 public:
  explicit Call(absl::Time deadline) : deadline_(deadline), cancelled_(std::make_shared<std::atomic<bool>>(false)) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Infinite when the caller set none.
  absl::Time deadline() const { return deadline_; }
  bool cancelled() const { return cancelled_->load(std::memory_order_relaxed); }
  std::shared_ptr<const std::atomic<bool>> cancel_flag() const { return cancelled_; }

  // OK while somebody waits for the answer.
  absl::Status Check() const;

  // Marks the call as abandoned and runs the listeners, once.
  void Cancel();

  // `listener` runs when the call is cancelled, from the cancelling thread, or at once when it already is. It must not block.
  int AddListener(std::function<void()> listener);
  // The listener does not run any more when this returns.
  void RemoveListener(int id);

  // The call that this thread works for; null outside of handlers.
  static Call* Current();

  // Makes `call` the thread's own for a scope.
  class Scope {
   public:
    explicit Scope(Call* call);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Call* const previous_;
  };

 private:
  const absl::Time deadline_;
  const std::shared_ptr<std::atomic<bool>> cancelled_;
  Mutex mutex_;
  std::map<int, std::function<void()>> listeners_ ABSL_GUARDED_BY(mutex_);
  int next_listener_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace palate::services
