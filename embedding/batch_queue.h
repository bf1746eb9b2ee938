// Between the calls of an embedder and its executor: two lanes of waiting work, from which batches
// are cut by tokens. No LibTorch.
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

// One pass of the model that somebody waits for. Subclasses hold the payload, which the queue never
// looks at.
class QueuedWork {
 public:
  // `tokens` of work, at least 1.
  QueuedWork(Lane lane, int64_t tokens) : lane_(lane), tokens_(tokens) {}
  virtual ~QueuedWork() = default;

  Lane lane() const { return lane_; }
  int64_t tokens() const { return tokens_; }

  // Why nobody wants the result any more; OK while somebody does. Called with the queue locked:
  // quick, and never calling the queue.
  virtual absl::Status CheckStillWanted(absl::Time now) const = 0;
  // The queue gives the work up and lets it go. Called without the lock.
  virtual void Dropped(const absl::Status& why) = 0;

 private:
  friend class BatchQueue;
  const Lane lane_;
  const int64_t tokens_;
  // Guarded by the queue's mutex:
  absl::Time arrival_;
  int passed_over_ = 0;  // batches that were cut past it
};

using WorkBatch = std::vector<std::shared_ptr<QueuedWork>>;

// How batches are cut:
//   - The oldest work of a lane is always in the lane's next batch. The rest is chosen from a
//   window of the oldest work by likeness in
//     length, so that passes of one length are computed together, and work that was passed over a
//     few times goes first.
//   - Work larger than a batch is computed alone, and the batch after it holds none, as long as
//   there is other work: it holds up small work
//     for one batch at most.
//   - Interactive work goes first. While both lanes wait, bulk work earns its share of every batch
//   as credit; what it has earned is
//     kept free for it, and saved until the next piece of it fits.
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

  // A call with about `tokens` of work asks to be let in. ResourceExhausted while its lane is full,
  // whatever it asks for; else the tokens count against the lane until they are released.
  // Unavailable after Shutdown.
  absl::Status Admit(Lane lane, int64_t tokens) ABSL_LOCKS_EXCLUDED(mutex_);
  // Tokens that were computed, given up, or estimated too high (negative: too low).
  void Release(Lane lane, int64_t tokens) ABSL_LOCKS_EXCLUDED(mutex_);

  // Unavailable after Shutdown; then the work is not taken.
  absl::Status Push(std::shared_ptr<QueuedWork> work) ABSL_LOCKS_EXCLUDED(mutex_);
  // Drops all waiting work that nobody wants.
  void DropUnwanted() ABSL_LOCKS_EXCLUDED(mutex_);

  // The next batch, longest first; blocks while there is no work. Empty after Shutdown.
  WorkBatch NextBatch() ABSL_LOCKS_EXCLUDED(mutex_);

  // Drops all waiting work as Unavailable.
  void Shutdown() ABSL_LOCKS_EXCLUDED(mutex_);

  // Tokens admitted and not released.
  int64_t queued_tokens(Lane lane) const ABSL_LOCKS_EXCLUDED(mutex_);
  // When the oldest waiting work came; InfiniteFuture when there is none.
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
  // Takes out the work of both lanes that nobody wants.
  std::vector<std::pair<std::shared_ptr<QueuedWork>, absl::Status>> TakeUnwanted()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  WorkBatch Cut() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves work of a lane into `batch` until it holds `limit` tokens; returns the tokens moved.
  int64_t Take(Waiting& waiting, int64_t limit, WorkBatch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The place of the lane's oldest work that may be in the next batch.
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
