#include "ranking/engine/score_queue.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "base/mutex.h"
#include "base/status.h"

namespace palate::ranking {

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
  const auto ahead = static_cast<double>(backlog_.load(std::memory_order_relaxed));
  const absl::Status admitted = cost_.Admit({.ahead = ahead, .units = static_cast<double>(tokens)},
                                            context.deadline - absl::Now());
  if (!admitted.ok()) {
    refused_for_deadline_.fetch_add(1, std::memory_order_relaxed);
    return admitted;
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

absl::Status ScoreQueue::MeasureWarmUps(const WarmUpFn& work) {
  constexpr int kRuns = 3;
  constexpr absl::Duration kEnough = absl::Seconds(2);
  PALATE_RETURN_IF_ERROR(work().status());

  double least = 0;
  const absl::Time began_all = absl::Now();
  for (int run = 0; run < kRuns && absl::Now() - began_all < kEnough; ++run) {
    const absl::Time began = absl::Now();
    PALATE_ASSIGN_OR_RETURN(const int64_t tokens, work());
    if (tokens <= 0) continue;
    const double seconds = absl::ToDoubleSeconds(absl::Now() - began) / static_cast<double>(tokens);
    least = run == 0 ? seconds : std::min(least, seconds);
  }

  cost_.Add(1, absl::Seconds(least));
  return absl::OkStatus();
}

// On the executor's thread.
bool ScoreQueue::RunStep(Job& job) {
  absl::StatusOr<bool> more = false;
  if (!job.abandoned) {
    const absl::Time began = absl::Now();
    more = job.step([this, &job] {
      executor_.NoteProgress();
      return !job.abandoned;
    });
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
