// The threads that prepare inputs for the model: tokenize, decode, resize. No LibTorch.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "embedding/embedder.h"

namespace palate::embedding {

// Interactive tasks come first; while both lanes wait, every fourth task is a bulk one. Bulk tasks
// leave one thread free if there are several, so that an interactive task never waits for the many
// images of a bulk one. Callers bound the queue: they submit a few tasks at a time.
//
// Thread-safe. The destructor runs the queued tasks and joins the threads.
class PreparePool {
 public:
  explicit PreparePool(int threads);
  ~PreparePool();
  PreparePool(const PreparePool&) = delete;
  PreparePool& operator=(const PreparePool&) = delete;

  void Submit(Lane lane, std::function<void()> task) ABSL_LOCKS_EXCLUDED(mutex_);
  int threads() const { return static_cast<int>(threads_.size()); }

 private:
  struct Task {
    Lane lane = Lane::kInteractive;
    std::function<void()> run;
  };

  void Work();
  // Blocks until a task may run; nullopt when the pool ends.
  std::optional<Task> Take() ABSL_LOCKS_EXCLUDED(mutex_);
  void Finished(Lane lane) ABSL_LOCKS_EXCLUDED(mutex_);
  bool BulkMayRun() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !bulk_.empty() && bulk_running_ < most_bulk_;
  }
  // The lane of the next task. REQUIRES: a task may run.
  Lane ChooseLane() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int most_bulk_;
  Mutex mutex_;
  CondVar work_arrived_;
  std::deque<std::function<void()>> interactive_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::function<void()>> bulk_ ABSL_GUARDED_BY(mutex_);
  int bulk_running_ ABSL_GUARDED_BY(mutex_) = 0;
  int interactive_in_a_row_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace palate::embedding
