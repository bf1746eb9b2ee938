// Scoring requests of one model: whether they are let in, their turn on the executor, and the wait
// of their callers.
//
//   RESOURCE_EXHAUSTED  at once, when the executor's scoring lane is full
//   DEADLINE_EXCEEDED   at once, when the work that waits and this request would take longer than
//   the caller has, by the measured cost of a
//                       token; or later, when the deadline passes
//   CANCELLED           at once, when the call is cancelled
// A request that nobody waits for any more costs no further step. Thread-safe.
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

// DeadlineExceeded saying what the model needs and what the caller has.
absl::Status TooLate(absl::Duration needed, absl::Duration remaining);

class ScoreQueue {
 public:
  // One bounded step on the executor's thread; true when more remain. `wanted` may be asked inside
  // a long step. Must not throw.
  using Step = std::function<absl::StatusOr<bool>(const std::function<bool()>& wanted)>;

  // Borrows the executor, whose thread must be joined before this object goes.
  explicit ScoreQueue(ModelExecutor& executor) : executor_(executor) {}

  // Runs `step` until nothing remains or it fails, and returns its status. `tokens` is the price of
  // the whole. The step may still run for a moment after this has returned for a deadline or a
  // cancellation: it owns what it uses.
  absl::Status Run(int64_t tokens, Step step, const CallContext& context);

  // As the moving average has it, for work that is run past the queue.
  void Measured(int64_t tokens, absl::Duration elapsed) {
    cost_.Add(static_cast<double>(tokens), elapsed);
  }

  double seconds_per_token() const { return cost_.seconds_per_unit(); }
  int64_t refused_for_overload() const { return refused_for_overload_; }
  int64_t refused_for_deadline() const { return refused_for_deadline_; }

 private:
  struct Job;

  bool RunStep(Job& job);

  ModelExecutor& executor_;
  CostMeter cost_;
  std::atomic<int64_t> backlog_{0};  // tokens that wait or run
  std::atomic<int64_t> refused_for_overload_{0}, refused_for_deadline_{0};
};

}  // namespace palate::ranking
