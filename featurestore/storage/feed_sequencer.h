// Positions of the change feed: given out in order, visible to readers only when every earlier one
// is committed or abandoned.
//
// Writers commit concurrently, so position 5 may be on disk before position 4. Readers therefore
// read up to the watermark, the last position before the oldest one still being written.
// Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "absl/time/time.h"
#include "base/mutex.h"

namespace palate::featurestore {

class FeedSequencer {
 public:
  // A run of positions being written. Its end, after the commit or without one, lets readers pass
  // and wakes them.
  class Reservation {
   public:
    Reservation(FeedSequencer* sequencer, int64_t first) : sequencer_(sequencer), first_(first) {}
    ~Reservation();
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;
    int64_t first() const { return first_; }

   private:
    FeedSequencer* const sequencer_;
    const int64_t first_;
  };

  // The first position to give out. Called once, before any other method.
  void Start(int64_t next) ABSL_LOCKS_EXCLUDED(mutex_);

  // `count` positions, at least 1. Reserve no more than will be written: unused positions look like
  // lost ones after a restart.
  std::unique_ptr<Reservation> Reserve(int64_t count) ABSL_LOCKS_EXCLUDED(mutex_);

  int64_t watermark() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits until the watermark is beyond `position`, Close() or `deadline`. True in the first case.
  bool WaitBeyond(int64_t position, absl::Time deadline) const ABSL_LOCKS_EXCLUDED(mutex_);

  // Wakes every waiter, now and in future.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  // As FeatureStore::AddFeedListener.
  int64_t AddListener(std::function<void()> listener) ABSL_LOCKS_EXCLUDED(listeners_mutex_);
  void RemoveListener(int64_t id) ABSL_LOCKS_EXCLUDED(listeners_mutex_);

 private:
  void Complete(int64_t first) ABSL_LOCKS_EXCLUDED(mutex_, listeners_mutex_);
  int64_t WatermarkLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  mutable CondVar grown_;
  int64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  std::set<int64_t> in_flight_ ABSL_GUARDED_BY(mutex_);  // first positions
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;

  Mutex listeners_mutex_;
  int64_t next_listener_ ABSL_GUARDED_BY(listeners_mutex_) = 1;
  std::map<int64_t, std::function<void()>> listeners_ ABSL_GUARDED_BY(listeners_mutex_);
};

}  // namespace palate::featurestore
