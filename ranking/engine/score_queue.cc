#include "ranking/engine/score_queue.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/mutex.h"

namespace palate::ranking {

absl::Status TooLate(absl::Duration needed, absl::Duration remaining) {
  return absl::DeadlineExceededError(absl::StrCat(
      "the model needs about ", absl::FormatDuration(absl::Trunc(needed, absl::Microseconds(1))),
      ", but the remaining time is ",
      absl::FormatDuration(absl::Trunc(remaining, absl::Microseconds(1)))));
}

// Shared by the executor and the waiting caller.
struct ScoreQueue::Job {
  Step step;
  int64_t tokens = 0;
  absl::Duration spent;  // by the executor
  std::atomic<bool> abandoned = false;
  Mutex mutex;
  CondVar changed;
  std::optional<absl::Status> result ABSL_GUARDED_BY(mutex);
};

absl::Status ScoreQueue::Run(int64_t tokens, Step step, const CallContext& context) {
  const absl::Duration needed =
      cost_.Estimate(static_cast<double>(backlog_.load(std::memory_order_relaxed) + tokens));
  const absl::Duration remaining = context.deadline - absl::Now();
  if (needed > remaining) {
    refused_for_deadline_.fetch_add(1, std::memory_order_relaxed);
    return TooLate(needed, remaining);
  }

  const auto job = std::make_shared<Job>();
  job->step = std::move(step);
  job->tokens = tokens;
  backlog_.fetch_add(tokens, std::memory_order_relaxed);
  const absl::Status submitted =
      executor_.Submit(Lane::kScoring, [this, job] { return RunStep(*job); });
  if (!submitted.ok()) {
    backlog_.fetch_sub(tokens, std::memory_order_relaxed);
    if (absl::IsResourceExhausted(submitted))
      refused_for_overload_.fetch_add(1, std::memory_order_relaxed);
    return submitted;
  }

  const CancelRegistration wake = context.OnCancel([&job] {
    MutexLock lock(job->mutex);
    job->changed.Signal();
  });

  MutexLock lock(job->mutex);
  while (!job->result.has_value()) {
    const absl::Duration left = context.deadline - absl::Now();
    const bool cancelled = context.cancelled();
    if (cancelled || left <= absl::ZeroDuration()) {
      job->abandoned = true;
      if (cancelled) return absl::CancelledError("the caller no longer waits for the scores");
      refused_for_deadline_.fetch_add(1, std::memory_order_relaxed);
      return absl::DeadlineExceededError(
          "the deadline passed while the candidates were being scored");
    }
    job->changed.WaitFor(job->mutex, left);
  }
  return *job->result;
}

// On the executor's thread.
bool ScoreQueue::RunStep(Job& job) {
  absl::StatusOr<bool> more = false;
  if (!job.abandoned) {
    const absl::Time began = absl::Now();
    more = job.step([&job] { return !job.abandoned; });
    job.spent += absl::Now() - began;
    if (more.ok() && *more && !job.abandoned) return true;
    if (more.ok() && !job.abandoned) cost_.Add(static_cast<double>(job.tokens), job.spent);
  }

  backlog_.fetch_sub(job.tokens, std::memory_order_relaxed);
  MutexLock lock(job.mutex);
  job.result = more.status();
  job.changed.Signal();
  return false;
}

}  // namespace palate::ranking
