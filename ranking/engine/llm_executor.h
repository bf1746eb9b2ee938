// The thread that runs a model: tasks in two lanes, executed in steps. Scoring precedes decoding.
//
// A task is a function that does one bounded step of work and returns whether more steps remain.
// Unfinished tasks return to the back of their lane, so decodes advance in turn, and a scoring
// waits for at most one decode step. Both lanes are bounded. Thread-safe. The destructor refuses
// new work, discards waiting work, waits for the running step, and joins.
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
  size_t max_scoring_tasks = 64;  // in the queue, without the running task
  size_t max_decoding_tasks = 16;
};

class ModelExecutor {
 public:
  // Runs one step on the executor's thread; returns true if more remain. Must not throw.
  using Step = std::function<bool()>;

  ModelExecutor(const std::string& name, const ExecutorLimits& limits);
  ~ModelExecutor();
  ModelExecutor(const ModelExecutor&) = delete;
  ModelExecutor& operator=(const ModelExecutor&) = delete;

  // ResourceExhausted, at once, when the lane is full; Unavailable during shutdown.
  absl::Status Submit(Lane lane, Step step) ABSL_LOCKS_EXCLUDED(mutex_);

  // Called by a step that has finished a part of its work, such as one forward of several.
  void NoteProgress() ABSL_LOCKS_EXCLUDED(mutex_);
  // How long the running step has been going without progress; zero if none runs.
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
  // Or its last progress; InfiniteFuture while no step runs.
  absl::Time step_began_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  std::thread thread_;
};

}  // namespace palate::ranking
