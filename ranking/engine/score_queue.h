// Runs scoring requests of one model on its executor: admission, turns and waiting.
//
//   RESOURCE_EXHAUSTED  at once, when the executor's scoring lane is full
//   DEADLINE_EXCEEDED   at once, when the waiting work and this request would exceed the deadline,
//                       by the measured cost of a token; or when the deadline passes. When nothing
//                       waits, a request is let in from time to time against the estimate
//                       (cost_meter.h)
//   CANCELLED           at once, when the call is cancelled
//
// No further step is computed for a request whose caller has returned. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/call_context.h"
#include "ranking/engine/cost_meter.h"
#include "ranking/engine/llm_executor.h"

namespace palate::ranking {

class ScoreQueue {
 public:
  // Runs one bounded step on the executor's thread; returns true if more remain. A long step may
  // call `wanted` and stop when it returns false. Each call of `wanted` counts as progress for
  // ModelExecutor::RunningFor. Must not throw.
  using Step = std::function<absl::StatusOr<bool>(const std::function<bool()>& wanted)>;

  // Borrows the executor, whose thread must be joined before this object is destroyed.
  explicit ScoreQueue(ModelExecutor& executor) : executor_(executor) {}

  // Runs `step` until nothing remains or it fails, and returns its status. `tokens` is the cost of
  // all steps. A step may still be running when this returns for a deadline or a cancellation, so
  // it must own what it uses.
  absl::Status Run(int64_t tokens, Step step, const CallContext& context);

  // Does work of a typical shape on the calling thread; returns its tokens.
  using WarmUpFn = std::function<absl::StatusOr<int64_t>()>;
  // Runs `work` once to load weights and fill caches, then up to three times, for two seconds or
  // so, and takes the least cost of a token: the machine may be busy while a model loads. The first
  // error of `work`.
  absl::Status MeasureWarmUps(const WarmUpFn& work);

  double seconds_per_token() const { return cost_.seconds_per_unit(); }
  int64_t refused_for_overload() const { return refused_for_overload_; }
  int64_t refused_for_deadline() const { return refused_for_deadline_; }

 private:
  struct Job;

  bool RunStep(Job& job);

  ModelExecutor& executor_;
  CostMeter cost_;
  std::atomic<int64_t> backlog_{0};  // waiting and running tokens
  std::atomic<int64_t> refused_for_overload_{0}, refused_for_deadline_{0};
};

}  // namespace palate::ranking
