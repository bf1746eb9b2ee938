#include "embedding/embed_call.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/time/clock.h"
#include "base/status.h"

namespace palate::embedding {

EmbedCall::EmbedCall(Request request, std::vector<int64_t> estimates, const Limits& limits,
                     BatchQueue& queue)
    : request_(std::move(request)),
      estimates_(std::move(estimates)),
      limits_(limits),
      queue_(queue),
      states_(request_.inputs.size()),
      admitted_tokens_(std::accumulate(estimates_.begin(), estimates_.end(), int64_t{0})) {}

absl::Status EmbedCall::CheckStillWanted(absl::Time now) const {
  PALATE_RETURN_IF_ERROR(request_.context.Check("embedding", now));
  if (over_.load(std::memory_order_relaxed))
    return absl::CancelledError("the embedding call was abandoned");
  return absl::OkStatus();
}

bool EmbedCall::HasRoom() const {
  return preparing_ < limits_.preparing && prepared_tokens_ < limits_.prepared_tokens;
}

bool EmbedCall::BeginPreparing() {
  const MutexLock lock(mutex_);
  if (!HasRoom()) return false;
  ++preparing_;
  return true;
}

absl::StatusOr<std::vector<size_t>> EmbedCall::WaitForProgress(bool more) {
  const MutexLock lock(mutex_);
  while (true) {
    if (!ending_.ok()) return ending_;
    const absl::Time now = absl::Now();
    if (const absl::Status wanted = CheckStillWanted(now); !wanted.ok()) {
      EndWith(wanted);
      return wanted;
    }
    if (!finished_.empty() || (more && HasRoom())) return std::exchange(finished_, {});
    changed_.WaitFor(mutex_, request_.context.deadline - now);
  }
}

void EmbedCall::Wake() {
  const MutexLock lock(mutex_);
  changed_.SignalAll();
}

InputOutcome EmbedCall::TakeOutcome(size_t input) {
  const MutexLock lock(mutex_);
  return std::move(states_[input].outcome);
}

void EmbedCall::EndWith(const absl::Status& why) {
  if (ending_.ok()) ending_ = why;
  over_.store(true, std::memory_order_relaxed);
  changed_.SignalAll();
}

void EmbedCall::Release(int64_t tokens) {
  if (closed_) return;
  admitted_tokens_ -= tokens;
  queue_.Release(request_.options.lane, tokens);
}

void EmbedCall::Close() {
  {
    const MutexLock lock(mutex_);
    over_.store(true, std::memory_order_relaxed);
    Release(admitted_tokens_);
    closed_ = true;
  }
  queue_.DropUnwanted();
}

void EmbedCall::GiveUp(const absl::Status& why) {
  const MutexLock lock(mutex_);
  EndWith(why);
}

void EmbedCall::Finish(size_t input) {
  InputOutcome& outcome = states_[input].outcome;
  finished_.push_back(input);
  if (!outcome.status.ok() || outcome.failed_parts.empty()) return;

  const bool any = std::any_of(outcome.vectors.begin(), outcome.vectors.end(),
                               [](const PassVector& vector) { return !vector.values.empty(); });
  const bool is_query = request_.inputs[input].role == EmbedRole::kQuery;
  if (any && !is_query) return;
  outcome.status = outcome.failed_parts.front().status;
}

void EmbedCall::Prepared(size_t input, absl::StatusOr<PreparedInput> prepared) {
  std::vector<std::shared_ptr<EmbedWork>> works;
  {
    const MutexLock lock(mutex_);
    InputState& state = states_[input];
    --preparing_;

    int64_t cost = 0;
    if (prepared.ok()) {
      std::vector<InputPass>& passes = prepared->passes;
      state.open_passes = passes.size();
      state.outcome.failed_parts = std::move(prepared->failed_parts);
      for (size_t i = 0; i < passes.size(); ++i) {
        InputPass& pass = passes[i];
        cost += pass.pass.cost;
        state.outcome.tokens += pass.pass.tokens;
        state.outcome.truncated_tokens += pass.pass.truncated_tokens;
        state.outcome.vectors.push_back({pass.spaces, {}});
        works.push_back(std::make_shared<EmbedWork>(shared_from_this(), input, i, std::move(pass)));
      }
    } else {
      state.outcome.status = prepared.status();
    }

    if (works.empty()) Finish(input);
    prepared_tokens_ += cost;
    Release(estimates_[input] - cost);
    changed_.SignalAll();
  }

  for (std::shared_ptr<EmbedWork>& work : works) {
    if (const absl::Status pushed = queue_.Push(std::move(work)); !pushed.ok())
      return GiveUp(pushed);
  }
}

void EmbedCall::PassDone(size_t input, size_t pass, int64_t cost, PartFailure failure,
                         std::vector<float> vector) {
  const MutexLock lock(mutex_);
  InputState& state = states_[input];

  if (failure.status.ok()) {
    state.outcome.vectors[pass].values = std::move(vector);
  } else {
    state.outcome.failed_parts.push_back(std::move(failure));
  }

  prepared_tokens_ -= cost;
  Release(cost);
  if (--state.open_passes == 0) Finish(input);
  changed_.SignalAll();
}

EmbedWork::EmbedWork(std::shared_ptr<EmbedCall> call, size_t input, size_t index, InputPass pass)
    : QueuedWork(call->options().lane, pass.pass.cost),
      call_(std::move(call)),
      input_(input),
      index_(index),
      pass_(std::move(pass)) {}

void EmbedWork::Computed(absl::Span<const float> vector) {
  call_->PassDone(input_, index_, tokens(), {}, {vector.begin(), vector.end()});
}

void EmbedWork::Failed(const absl::Status& why) {
  call_->PassDone(input_, index_, tokens(), {pass_.field, AtField(why, pass_.field)}, {});
}

}  // namespace palate::embedding
