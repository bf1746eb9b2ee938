// A fixed number of threads that run tasks from one bounded first-in first-out queue. Thread-safe.
//
// Usage:
//   std::atomic<int> sum = 0;
//   {
//     ThreadPool pool("adder", /*num_threads=*/2, /*queue_limit=*/16);
//     for (int i = 1; i <= 3; ++i) PALATE_RETURN_IF_ERROR(pool.Submit([&sum, i] { sum += i; }));
//   }  // runs the tasks that are queued and joins the threads
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
  // `name` appears in error messages, and its first 15 bytes in the threads' names. `num_threads`
  // and `queue_limit` are at least 1.
  ThreadPool(std::string name, int num_threads, size_t queue_limit);
  // Refuses new tasks, runs the queued ones, and joins the threads.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Queues `task`, which must not throw. Does not wait: ResourceExhausted when `queue_limit` tasks
  // are queued; Unavailable once the destructor has been called.
  absl::Status Submit(std::function<void()> task) ABSL_LOCKS_EXCLUDED(mutex_);

  // Queued tasks, without those that run.
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
