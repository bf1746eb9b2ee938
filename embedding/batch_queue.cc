#include "embedding/batch_queue.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace palate::embedding {
namespace {

// Why nobody wants the work any more; OK when somebody does.
absl::Status DeathOf(absl::Time deadline, const CancelFlag* cancelled) {
  if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) return absl::CancelledError("embedding was cancelled");
  if (absl::Now() >= deadline) return absl::DeadlineExceededError("embedding did not finish before the deadline");
  return absl::OkStatus();
}

const char* NameOf(Lane lane) { return lane == Lane::kBulk ? "bulk" : "interactive"; }

}  // namespace

absl::Status BatchQueue::Submit(std::shared_ptr<WorkGroup> group, bool admitted) {
  const MutexLock lock(mutex_);
  if (stopped_) return absl::UnavailableError("the embedder is shutting down");
  LaneState& lane = StateOf(group->lane_);
  const int64_t limit = group->lane_ == Lane::kBulk ? options_.max_queued_tokens_bulk : options_.max_queued_tokens_interactive;
  if (!admitted && lane.tokens >= limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat("embedding is overloaded: ", lane.tokens, " tokens wait in the ", NameOf(group->lane_), " lane, at most ", limit));
  }
  group->unfinished_ = group->costs_.size();
  if (group->costs_.empty()) return absl::OkStatus();
  lane.tokens += std::accumulate(group->costs_.begin(), group->costs_.end(), int64_t{0});
  lane.groups.push_back(std::move(group));
  work_arrived_.Signal();
  return absl::OkStatus();
}

absl::Status BatchQueue::Wait(WorkGroup& group) {
  const MutexLock lock(mutex_);
  while (group.unfinished_ > 0 && group.status_.ok()) {
    if (absl::Status death = DeathOf(group.deadline_, group.cancelled_.get()); !death.ok()) {
      GiveUp(group, std::move(death));
      break;
    }
    // The flag has no way to wake us, so that a call with one looks at it from time to time.
    const absl::Duration poll = group.cancelled_ == nullptr ? absl::InfiniteDuration() : options_.poll_interval;
    group.changed_.WaitFor(mutex_, std::min(poll, group.deadline_ - absl::Now()));
  }
  return group.status_;
}

std::vector<BatchUnit> BatchQueue::NextBatch() {
  const MutexLock lock(mutex_);
  while (true) {
    DropDead(interactive_);
    DropDead(bulk_);
    if (stopped_) return {};
    if (!interactive_.groups.empty() || !bulk_.groups.empty()) break;
    work_arrived_.Wait(mutex_);
  }
  std::vector<BatchUnit> batch;
  const bool both = !interactive_.groups.empty() && !bulk_.groups.empty();
  const auto reserved = both ? static_cast<int64_t>(options_.bulk_share * static_cast<double>(options_.batch_tokens)) : int64_t{0};
  const int64_t held = Take(interactive_, options_.batch_tokens - reserved, 0, batch);
  Take(bulk_, options_.batch_tokens, held, batch);
  return batch;
}

int64_t BatchQueue::Take(LaneState& lane, int64_t limit, int64_t held, std::vector<BatchUnit>& batch) {
  while (!lane.groups.empty()) {
    const std::shared_ptr<WorkGroup>& group = lane.groups.front();
    const int64_t cost = group->costs_[group->taken_];
    if (!batch.empty() && held + cost > limit) break;
    batch.push_back({.group = group, .unit = group->taken_});
    held += cost;
    lane.tokens -= cost;
    if (++group->taken_ == group->costs_.size()) lane.groups.pop_front();
  }
  return held;
}

void BatchQueue::Finish(const std::vector<BatchUnit>& batch, const absl::Status& status) {
  const MutexLock lock(mutex_);
  for (const BatchUnit& unit : batch) {
    WorkGroup& group = *unit.group;
    --group.unfinished_;
    if (!status.ok() && group.status_.ok()) GiveUp(group, status);
    if (group.unfinished_ == 0) group.changed_.Signal();
  }
}

void BatchQueue::GiveUp(WorkGroup& group, absl::Status status) {
  group.status_ = std::move(status);
  LaneState& lane = StateOf(group.lane_);
  const auto it = std::find_if(lane.groups.begin(), lane.groups.end(), [&](const auto& waiting) { return waiting.get() == &group; });
  if (it != lane.groups.end()) {
    for (size_t i = group.taken_; i < group.costs_.size(); ++i) lane.tokens -= group.costs_[i];
    lane.groups.erase(it);
  }
  group.changed_.Signal();
}

void BatchQueue::DropDead(LaneState& lane) {
  for (size_t i = 0; i < lane.groups.size();) {
    const std::shared_ptr<WorkGroup> group = lane.groups[i];
    absl::Status death = DeathOf(group->deadline_, group->cancelled_.get());
    if (death.ok()) {
      ++i;
    } else {
      GiveUp(*group, std::move(death));
    }
  }
}

void BatchQueue::Shutdown() {
  const MutexLock lock(mutex_);
  stopped_ = true;
  for (LaneState* lane : {&interactive_, &bulk_}) {
    while (!lane->groups.empty()) {
      const std::shared_ptr<WorkGroup> group = lane->groups.front();
      GiveUp(*group, absl::UnavailableError("the embedder is shutting down"));
    }
  }
  work_arrived_.SignalAll();
}

int64_t BatchQueue::queued_tokens(Lane lane) const {
  const MutexLock lock(mutex_);
  return lane == Lane::kBulk ? bulk_.tokens : interactive_.tokens;
}

}  // namespace palate::embedding
