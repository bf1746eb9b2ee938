// The one thread that runs a model: tasks in two lanes, advanced in steps. Scoring goes first;
// decoding runs between scorings.
//
// A task is a function that does one bounded step of work and says whether more steps remain.
// Unfinished tasks go to the back of their lane, so several decodes advance in turn, and a scoring
// waits for at most one decode step. Both lanes are bounded. Thread-safe. The destructor refuses
// new work, drops what waits, ends after the running step, and joins.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace palate::ranking {

enum class Lane { kScoring, kDecoding };

struct ExecutorLimits {
  size_t max_scoring_tasks = 64;  // waiting or unfinished
  size_t max_decoding_tasks = 16;
};

class ModelExecutor {
 public:
  // One step; true when more remain. Called on the executor's thread. Must not throw.
  using Step = std::function<bool()>;

  ModelExecutor(const std::string& name, const ExecutorLimits& limits);
  ~ModelExecutor();
  ModelExecutor(const ModelExecutor&) = delete;
  ModelExecutor& operator=(const ModelExecutor&) = delete;

  // ResourceExhausted, at once, when the lane is full.
  absl::Status Submit(Lane lane, Step step) ABSL_LOCKS_EXCLUDED(mutex_);

  // How long the step that runs now has been running; zero when none runs.
  absl::Duration RunningFor() const ABSL_LOCKS_EXCLUDED(mutex_);
  size_t waiting(Lane lane) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Work();

  const ExecutorLimits limits_;
  mutable Mutex mutex_;
  CondVar work_available_;
  std::deque<Step> scoring_ ABSL_GUARDED_BY(mutex_);
  std::deque<Step> decoding_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time step_began_ ABSL_GUARDED_BY(mutex_) =
      absl::InfiniteFuture();  // infinite: no step runs
  std::thread thread_;
};

}  // namespace palate::ranking
