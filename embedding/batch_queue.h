// Queues the work of an embedder's calls in two lanes and cuts it into batches by tokens. Used by
// the embedder and its executor; without LibTorch.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "embedding/embedder.h"

namespace palate::embedding {

// One forward pass that a call waits for. Subclasses hold the payload, which the queue does not
// read.
class QueuedWork {
 public:
  // The work costs `tokens`, at least 1.
  QueuedWork(Lane lane, int64_t tokens) : lane_(lane), tokens_(tokens) {}
  virtual ~QueuedWork() = default;

  Lane lane() const { return lane_; }
  int64_t tokens() const { return tokens_; }

  // OK while a call waits for the result, otherwise the reason why none does. Called with the queue
  // locked: must be quick and must not call the queue.
  virtual absl::Status CheckStillWanted(absl::Time now) const = 0;
  // The queue discards the work. Called without the lock.
  virtual void Dropped(const absl::Status& why) = 0;

 private:
  friend class BatchQueue;
  const Lane lane_;
  const int64_t tokens_;
  // Guarded by the queue's mutex:
  absl::Time arrival_;
  int passed_over_ = 0;  // batches that were cut without it
};

using WorkBatch = std::vector<std::shared_ptr<QueuedWork>>;

// Batches are cut as follows:
//
//   - A batch begins with the oldest work of the lane that it is cut from first. The rest is chosen
//     from a window of the oldest work by similar length, so that passes of equal length are
//     computed together. Work that was passed over a few times is chosen first.
//   - Work larger than a batch is computed alone. The next batch is cut from smaller work if there
//     is any, so that small work waits for one large piece at a time.
//   - Interactive work comes first. While both lanes wait, bulk work earns its share of every batch
//     as credit. Once the credit covers the oldest bulk work, that part of the batch is reserved
//     for bulk work.
//
// Thread-safe: any number of callers, one executor.
class BatchQueue {
 public:
  struct Options {
    int64_t batch_tokens = 1024;
    double bulk_share = 0.25;
    int64_t max_queued_tokens_interactive = 128 * 1024;
    int64_t max_queued_tokens_bulk = 1024 * 1024;
  };
  explicit BatchQueue(const Options& options) : options_(options) {}

  // Admits a call of about `tokens`, which count against the lane until they are released.
  // ResourceExhausted while the lane is full, however small the call. Unavailable after Shutdown.
  absl::Status Admit(Lane lane, int64_t tokens) ABSL_LOCKS_EXCLUDED(mutex_);
  // Releases tokens that were computed, discarded, or estimated too high (negative: too low).
  void Release(Lane lane, int64_t tokens) ABSL_LOCKS_EXCLUDED(mutex_);

  // Unavailable after Shutdown; the work is then not queued.
  absl::Status Push(std::shared_ptr<QueuedWork> work) ABSL_LOCKS_EXCLUDED(mutex_);
  // Drops the waiting work that no call waits for.
  void DropUnwanted() ABSL_LOCKS_EXCLUDED(mutex_);

  // The next batch, longest first; blocks while there is no work. Empty after Shutdown.
  WorkBatch NextBatch() ABSL_LOCKS_EXCLUDED(mutex_);

  // Drops all waiting work as Unavailable.
  void Shutdown() ABSL_LOCKS_EXCLUDED(mutex_);

  // Tokens admitted and not released.
  int64_t queued_tokens(Lane lane) const ABSL_LOCKS_EXCLUDED(mutex_);
  // The arrival time of the oldest waiting work; InfiniteFuture when there is none.
  absl::Time waiting_since() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Waiting = std::deque<std::shared_ptr<QueuedWork>>;
  struct LaneState {
    Waiting waiting;  // oldest first
    int64_t admitted_tokens = 0;
  };

  const LaneState& StateOf(Lane lane) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return lane == Lane::kBulk ? bulk_ : interactive_;
  }
  LaneState& StateOf(Lane lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return lane == Lane::kBulk ? bulk_ : interactive_;
  }
  // Removes the unwanted work of both lanes.
  std::vector<std::pair<std::shared_ptr<QueuedWork>, absl::Status>> TakeUnwanted()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  WorkBatch Cut() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves work of a lane into `batch` up to `limit` tokens; returns the tokens moved. A batch that
  // is still empty gets the lane's head even beyond the limit.
  int64_t Take(Waiting& waiting, int64_t limit, WorkBatch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The index of the oldest work that the next batch may contain.
  size_t Head(const Waiting& waiting) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsLarge(const QueuedWork& work) const { return work.tokens() > options_.batch_tokens; }

  const Options options_;
  mutable Mutex mutex_;
  CondVar work_arrived_;
  LaneState interactive_ ABSL_GUARDED_BY(mutex_);
  LaneState bulk_ ABSL_GUARDED_BY(mutex_);
  int64_t bulk_credit_ ABSL_GUARDED_BY(mutex_) = 0;  // tokens
  bool last_was_large_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace palate::embedding
