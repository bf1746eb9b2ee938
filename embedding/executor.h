// The thread that runs the model. Internal to embedding/.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "embedding/batch_queue.h"
#include "embedding/embed_call.h"
#include "embedding/encoder.h"

namespace palate::embedding {

// The thread starts in the constructor and ends in the destructor. Borrows both arguments; all work
// in the queue must be EmbedWork. The counters are thread-safe.
//
// A batch that fails is computed again pass by pass, so that only the faulty pass fails.
class Executor {
 public:
  Executor(const Encoder& encoder, BatchQueue& queue);
  // Shuts the queue down and waits for the running batch.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  int64_t batches() const { return batches_.load(std::memory_order_relaxed); }
  int64_t tokens() const { return tokens_.load(std::memory_order_relaxed); }
  int64_t images() const { return images_.load(std::memory_order_relaxed); }
  int64_t retried() const { return retried_.load(std::memory_order_relaxed); }
  int64_t failed() const { return failed_.load(std::memory_order_relaxed); }
  // See EmbedderStats::stalled.
  absl::Duration stalled() const;

 private:
  using Works = std::vector<EmbedWork*>;

  void Run();
  void RunBatch(const WorkBatch& batch);
  // Delivers the vectors, or none when the model fails.
  absl::Status Compute(const Works& works);
  void ComputeAlone(EmbedWork& work);
  // Delivers one vector; one that is not finite fails its pass.
  void HandOut(absl::Span<const float> vector, EmbedWork& work);

  const Encoder& encoder_;
  BatchQueue& queue_;
  std::atomic<int64_t> batches_ = 0;
  std::atomic<int64_t> tokens_ = 0;
  std::atomic<int64_t> images_ = 0;
  std::atomic<int64_t> retried_ = 0;
  std::atomic<int64_t> failed_ = 0;
  std::atomic<int64_t> last_beat_ns_;  // when a batch last began or ended
  std::atomic<bool> busy_ = false;
  std::thread thread_;
};

}  // namespace palate::embedding
