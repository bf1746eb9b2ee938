// Locks of the feature store: a reader-writer lock that does not starve writers, and a table of
// mutexes that acts as one mutex per key. Thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"

namespace palate::featurestore {

// Many holders of the shared side or one of the exclusive side. A thread that waits for the
// exclusive side goes before new shared holders.
class ABSL_LOCKABLE RwLock {
 public:
  void LockShared() ABSL_SHARED_LOCK_FUNCTION() {
    MutexLock lock(mutex_);
    while (exclusive_ || waiting_exclusive_ > 0) changed_.Wait(mutex_);
    ++shared_;
  }
  void UnlockShared() ABSL_UNLOCK_FUNCTION() {
    MutexLock lock(mutex_);
    if (--shared_ == 0) changed_.SignalAll();
  }
  void LockExclusive() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    MutexLock lock(mutex_);
    ++waiting_exclusive_;
    while (exclusive_ || shared_ > 0) changed_.Wait(mutex_);
    --waiting_exclusive_;
    exclusive_ = true;
  }
  void UnlockExclusive() ABSL_UNLOCK_FUNCTION() {
    MutexLock lock(mutex_);
    exclusive_ = false;
    changed_.SignalAll();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int shared_ ABSL_GUARDED_BY(mutex_) = 0;
  int waiting_exclusive_ ABSL_GUARDED_BY(mutex_) = 0;
  bool exclusive_ ABSL_GUARDED_BY(mutex_) = false;
};

// Holds the shared side. Movable, so that a call can hand it on, and therefore invisible to clang's
// analysis. Not re-entrant: a thread that waits for the exclusive side behind its own shared hold
// waits forever.
class SharedHold {
 public:
  explicit SharedHold(RwLock& lock) ABSL_NO_THREAD_SAFETY_ANALYSIS : lock_(&lock) {
    lock_->LockShared();
  }
  ~SharedHold() { Release(); }
  void Release() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (lock_ != nullptr) lock_->UnlockShared();
    lock_ = nullptr;
  }
  SharedHold(SharedHold&& other) noexcept : lock_(other.lock_) { other.lock_ = nullptr; }
  SharedHold(const SharedHold&) = delete;
  SharedHold& operator=(const SharedHold&) = delete;

 private:
  RwLock* lock_;
};

// Holds the exclusive side for a scope.
class ABSL_SCOPED_LOCKABLE ExclusiveHold {
 public:
  explicit ExclusiveHold(RwLock& lock) ABSL_EXCLUSIVE_LOCK_FUNCTION(lock) : lock_(lock) {
    lock_.LockExclusive();
  }
  ~ExclusiveHold() ABSL_UNLOCK_FUNCTION() { lock_.UnlockExclusive(); }
  ExclusiveHold(const ExclusiveHold&) = delete;
  ExclusiveHold& operator=(const ExclusiveHold&) = delete;

 private:
  RwLock& lock_;
};

// One mutex per key, in effect: keys share `size` mutexes by their hash. A large batch holds them
// all, and ThreadSanitizer follows at most 64 mutexes held by one thread, hence small sizes.
class LockTable {
 public:
  explicit LockTable(size_t size) : mutexes_(size) {}

  // Holds the locks of all its keys, taken in one fixed order so that two holders never wait for
  // each other.
  class Hold {
   public:
    Hold(LockTable& table,
         const std::vector<absl::string_view>& keys) ABSL_NO_THREAD_SAFETY_ANALYSIS
        : table_(table) {
      indices_.reserve(keys.size());
      for (const absl::string_view key : keys)
        indices_.push_back(absl::HashOf(key) % table_.mutexes_.size());
      std::sort(indices_.begin(), indices_.end());
      indices_.erase(std::unique(indices_.begin(), indices_.end()), indices_.end());
      for (const size_t index : indices_) table_.mutexes_[index].Lock();
    }
    ~Hold() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      for (const size_t index : indices_) table_.mutexes_[index].Unlock();
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    LockTable& table_;
    std::vector<size_t> indices_;
  };

 private:
  std::vector<Mutex> mutexes_;
};

}  // namespace palate::featurestore
