// The one thread that runs the model. Internal to embedding/.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "embedding/batch_queue.h"
#include "embedding/embedding_model.h"

namespace palate::embedding {

// Starts with the constructor, ends with the destructor. Borrows both arguments; every group in the queue is an
// EmbedGroup.
class Executor {
 public:
  Executor(const EmbeddingModel& model, BatchQueue& queue);
  // Shuts the queue down, and lets the batch in hand end.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  int64_t batches() const { return batches_.load(std::memory_order_relaxed); }
  int64_t tokens() const { return tokens_.load(std::memory_order_relaxed); }
  int64_t images() const { return images_.load(std::memory_order_relaxed); }

 private:
  void Run();
  absl::Status RunBatch(const std::vector<BatchUnit>& batch);
  absl::Status RunTexts(const std::vector<struct WorkUnit*>& texts);
  absl::Status RunImages(const std::vector<struct WorkUnit*>& images);

  const EmbeddingModel& model_;
  BatchQueue& queue_;
  std::atomic<int64_t> batches_ = 0;
  std::atomic<int64_t> tokens_ = 0;
  std::atomic<int64_t> images_ = 0;
  std::thread thread_;
};

}  // namespace palate::embedding
