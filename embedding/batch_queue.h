// Between the callers of the embedder and its executor: two lanes of waiting work, from which batches are cut by
// tokens. No LibTorch.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "embedding/embedder.h"

namespace palate::embedding {

// A group of units of work (one text or one image each) that one caller waits for. Subclasses hold the payload, which
// the queue never looks at: the caller fills it before Submit, the executor works on it between NextBatch and Finish,
// the caller reads it after Wait.
class WorkGroup {
 public:
  WorkGroup(Lane lane, absl::Time deadline, std::shared_ptr<const CancelFlag> cancelled)
      : lane_(lane), deadline_(deadline), cancelled_(std::move(cancelled)) {}
  virtual ~WorkGroup() = default;

 protected:
  // Before Submit: a unit of `tokens` work, at least 1.
  void AddCost(int64_t tokens) { costs_.push_back(tokens); }

 private:
  friend class BatchQueue;
  const Lane lane_;
  const absl::Time deadline_;
  const std::shared_ptr<const CancelFlag> cancelled_;
  std::vector<int64_t> costs_;
  // Guarded by the queue's mutex:
  size_t taken_ = 0;       // units handed to the executor
  size_t unfinished_ = 0;  // units that Finish has not seen
  absl::Status status_;    // why the group was given up
  CondVar changed_;
};

struct BatchUnit {
  std::shared_ptr<WorkGroup> group;
  size_t unit;
};

// Thread-safe: any number of callers, one executor.
class BatchQueue {
 public:
  struct Options {
    int64_t batch_tokens = 1024;
    double bulk_share = 0.25;
    int64_t max_queued_tokens_interactive = 128 * 1024;
    int64_t max_queued_tokens_bulk = 1024 * 1024;
    absl::Duration poll_interval = absl::Milliseconds(20);
  };
  explicit BatchQueue(const Options& options) : options_(options) {}

  // ResourceExhausted while the group's lane is full, unless `admitted`: a call that got in may hand in its later
  // groups. Unavailable after Shutdown.
  absl::Status Submit(std::shared_ptr<WorkGroup> group, bool admitted) ABSL_LOCKS_EXCLUDED(mutex_);
  // Blocks until every unit is finished. Otherwise DeadlineExceeded, Cancelled, or what Finish reported; then units
  // that nobody has taken are dropped. A unit in the executor's hands may still be worked on: it holds its own share of
  // the group.
  absl::Status Wait(WorkGroup& group) ABSL_LOCKS_EXCLUDED(mutex_);

  // The next work, by lane and age; blocks while there is none. Empty after Shutdown. Bulk work gets its share of the
  // batch, and what interactive work leaves. A single unit larger than a batch comes alone.
  std::vector<BatchUnit> NextBatch() ABSL_LOCKS_EXCLUDED(mutex_);
  // Reports the units of a batch as done, or as failed with `status`.
  void Finish(const std::vector<BatchUnit>& batch, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  // Gives up all waiting groups as Unavailable.
  void Shutdown() ABSL_LOCKS_EXCLUDED(mutex_);

  int64_t queued_tokens(Lane lane) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct LaneState {
    std::deque<std::shared_ptr<WorkGroup>> groups;  // each with at least one unit not taken
    int64_t tokens = 0;                             // of units not taken
  };

  LaneState& StateOf(Lane lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return lane == Lane::kBulk ? bulk_ : interactive_; }
  // Moves units into `batch` until it holds `limit` tokens; returns the tokens it holds then.
  int64_t Take(LaneState& lane, int64_t limit, int64_t held, std::vector<BatchUnit>& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveUp(WorkGroup& group, absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropDead(LaneState& lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  CondVar work_arrived_;
  LaneState interactive_ ABSL_GUARDED_BY(mutex_);
  LaneState bulk_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace palate::embedding
