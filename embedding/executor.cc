#include "embedding/executor.h"

#include <ATen/ATen.h>
#include <pthread.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"

namespace palate::embedding {

Executor::Executor(const Encoder& encoder, BatchQueue& queue)
    : encoder_(encoder),
      queue_(queue),
      last_beat_ns_(absl::GetCurrentTimeNanos()),
      thread_([this] { Run(); }) {
  pthread_setname_np(thread_.native_handle(), "embed-executor");
}

Executor::~Executor() {
  queue_.Shutdown();
  thread_.join();
}

absl::Duration Executor::stalled() const {
  // Reading in this order can only make the result too small if a batch begins in between.
  const absl::Time waiting_since = queue_.waiting_since();
  const absl::Time last_beat = absl::FromUnixNanos(last_beat_ns_.load());
  const absl::Time now = absl::Now();

  if (busy_.load()) return std::max(absl::ZeroDuration(), now - last_beat);
  if (waiting_since == absl::InfiniteFuture()) return absl::ZeroDuration();
  return std::max(absl::ZeroDuration(), now - std::max(last_beat, waiting_since));
}

void Executor::Run() {
  while (true) {
    const WorkBatch batch = queue_.NextBatch();
    if (batch.empty()) return;
    last_beat_ns_.store(absl::GetCurrentTimeNanos());
    busy_.store(true);
    RunBatch(batch);
    last_beat_ns_.store(absl::GetCurrentTimeNanos());
    busy_.store(false);
  }
}

void Executor::RunBatch(const WorkBatch& batch) {
  Works works;
  works.reserve(batch.size());
  for (const std::shared_ptr<QueuedWork>& work : batch)
    works.push_back(static_cast<EmbedWork*>(work.get()));

  batches_.fetch_add(1, std::memory_order_relaxed);
  const absl::Status status = Compute(works);
  if (status.ok()) return;
  if (works.size() == 1) {
    failed_.fetch_add(1, std::memory_order_relaxed);
    return works.front()->Failed(status);
  }

  spdlog::warn("embedding: a batch of {} passes failed and is computed pass by pass: {}",
               works.size(), status.ToString());
  for (EmbedWork* work : works) {
    last_beat_ns_.store(absl::GetCurrentTimeNanos());
    ComputeAlone(*work);
  }
}

void Executor::ComputeAlone(EmbedWork& work) {
  if (const absl::Status wanted = work.CheckStillWanted(absl::Now()); !wanted.ok())
    return work.Dropped(wanted);
  retried_.fetch_add(1, std::memory_order_relaxed);
  const absl::Status status = Compute({&work});
  if (status.ok()) return;
  failed_.fetch_add(1, std::memory_order_relaxed);
  work.Failed(status);
}

void Executor::HandOut(absl::Span<const float> vector, EmbedWork& work) {
  if (std::all_of(vector.begin(), vector.end(), [](float value) { return std::isfinite(value); }))
    return work.Computed(vector);

  failed_.fetch_add(1, std::memory_order_relaxed);
  work.Failed(absl::InternalError("the model computed values that are not finite"));
}

absl::Status Executor::Compute(const Works& works) {
  std::vector<const PreparedPass*> passes;
  passes.reserve(works.size());
  for (const EmbedWork* work : works) passes.push_back(&work->pass());
  PALATE_ASSIGN_OR_RETURN(const at::Tensor vectors, encoder_.Encode(passes));

  const auto rows = static_cast<int64_t>(works.size());
  if (vectors.dim() != 2 || vectors.size(0) != rows ||
      vectors.size(1) != encoder_.info().dimensions) {
    return absl::InternalError(
        absl::StrCat("the model computed ", vectors.numel(), " values for ", rows, " vectors"));
  }

  const at::Tensor contiguous = vectors.contiguous();
  const float* data = contiguous.const_data_ptr<float>();
  const auto size = static_cast<size_t>(contiguous.size(1));

  int64_t tokens = 0;
  int64_t images = 0;
  for (const PreparedPass* pass : passes) {
    tokens += pass->tokens;
    images += static_cast<int64_t>(pass->images.size());
  }
  tokens_.fetch_add(tokens, std::memory_order_relaxed);
  images_.fetch_add(images, std::memory_order_relaxed);

  for (size_t i = 0; i < works.size(); ++i) HandOut({data + i * size, size}, *works[i]);
  return absl::OkStatus();
}

}  // namespace palate::embedding
