// A fixed number of threads over one bounded first-in first-out queue. Thread-safe.
//
// The destructor refuses new work, runs what is queued, and joins.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"

namespace palate {

class ThreadPool {
 public:
  // `name` is put into error messages and the threads' names (15 bytes at most are kept).
  // `num_threads` and `queue_limit` are at least 1.
  ThreadPool(std::string name, int num_threads, size_t queue_limit);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // ResourceExhausted, at once, when `queue_limit` tasks wait; Unavailable once the pool is being
  // destroyed.
  absl::Status Submit(std::function<void()> task) ABSL_LOCKS_EXCLUDED(mutex_);

  // Tasks that wait, without those that run.
  size_t queued() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Work();

  const std::string name_;
  const size_t queue_limit_;
  mutable Mutex mutex_;
  CondVar work_available_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace palate
