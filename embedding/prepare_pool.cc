#include "embedding/prepare_pool.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace palate::embedding {
namespace {

constexpr int kMostInteractiveInARow = 3;

}  // namespace

PreparePool::PreparePool(int threads) : most_bulk_(std::max(1, threads - 1)) {
  threads_.reserve(static_cast<size_t>(threads));
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Work(); });
    pthread_setname_np(threads_.back().native_handle(), "embed-prepare");
  }
}

PreparePool::~PreparePool() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  work_arrived_.SignalAll();
  for (std::thread& thread : threads_) thread.join();
}

void PreparePool::Submit(Lane lane, std::function<void()> task) {
  {
    const MutexLock lock(mutex_);
    (lane == Lane::kBulk ? bulk_ : interactive_).push_back(std::move(task));
  }
  work_arrived_.Signal();
}

Lane PreparePool::ChooseLane() {
  const bool bulk =
      interactive_.empty() || (BulkMayRun() && interactive_in_a_row_ >= kMostInteractiveInARow);
  interactive_in_a_row_ = bulk ? 0 : interactive_in_a_row_ + 1;
  return bulk ? Lane::kBulk : Lane::kInteractive;
}

std::optional<PreparePool::Task> PreparePool::Take() {
  const MutexLock lock(mutex_);
  while (interactive_.empty() && !BulkMayRun()) {
    // When stopping, bulk tasks that may not run yet are left to the thread that runs one now.
    if (stopping_) return std::nullopt;
    work_arrived_.Wait(mutex_);
  }

  Task task = {.lane = ChooseLane(), .run = nullptr};
  std::deque<std::function<void()>>& queue = task.lane == Lane::kBulk ? bulk_ : interactive_;
  task.run = std::move(queue.front());
  queue.pop_front();
  bulk_running_ += task.lane == Lane::kBulk ? 1 : 0;
  return task;
}

void PreparePool::Finished(Lane lane) {
  const MutexLock lock(mutex_);
  bulk_running_ -= lane == Lane::kBulk ? 1 : 0;
  if (BulkMayRun()) work_arrived_.Signal();
}

void PreparePool::Work() {
  while (std::optional<Task> task = Take()) {
    task->run();
    task->run = nullptr;  // releases what the task holds before Finished admits another
    Finished(task->lane);
  }
}

}  // namespace palate::embedding
