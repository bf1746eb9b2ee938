#include "embedding/executor.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <pthread.h>

#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "embedding/prepare.h"
#include "models/torch_status.h"

namespace palate::embedding {
namespace {

// Row i of `rows` becomes the vector of unit i.
void TakeRows(const at::Tensor& rows, const std::vector<WorkUnit*>& units) {
  const at::Tensor contiguous = rows.contiguous();
  const float* data = contiguous.const_data_ptr<float>();
  const auto size = static_cast<size_t>(contiguous.size(1));
  for (size_t i = 0; i < units.size(); ++i) units[i]->vector.assign(data + i * size, data + (i + 1) * size);
}

}  // namespace

Executor::Executor(const EmbeddingModel& model, BatchQueue& queue) : model_(model), queue_(queue), thread_([this] { Run(); }) {
  pthread_setname_np(thread_.native_handle(), "embed-executor");
}

Executor::~Executor() {
  queue_.Shutdown();
  thread_.join();
}

void Executor::Run() {
  while (true) {
    const std::vector<BatchUnit> batch = queue_.NextBatch();
    if (batch.empty()) return;
    const absl::Status status = RunBatch(batch);
    if (!status.ok()) spdlog::error("embedding: a batch of {} units failed: {}", batch.size(), status.ToString());
    queue_.Finish(batch, status);
  }
}

absl::Status Executor::RunBatch(const std::vector<BatchUnit>& batch) {
  std::vector<WorkUnit*> texts;
  std::vector<WorkUnit*> images;
  for (const BatchUnit& taken : batch) {
    WorkUnit& unit = static_cast<EmbedGroup&>(*taken.group).units()[taken.unit];
    (unit.is_image ? images : texts).push_back(&unit);
  }
  batches_.fetch_add(1, std::memory_order_relaxed);
  if (!texts.empty()) PALATE_RETURN_IF_ERROR(RunTexts(texts));
  if (!images.empty()) PALATE_RETURN_IF_ERROR(RunImages(images));
  return absl::OkStatus();
}

absl::Status Executor::RunTexts(const std::vector<WorkUnit*>& texts) {
  std::vector<std::vector<int64_t>> sequences;
  sequences.reserve(texts.size());
  int64_t tokens = 0;
  for (WorkUnit* unit : texts) {
    tokens += static_cast<int64_t>(unit->ids.size());
    sequences.push_back(std::move(unit->ids));
  }
  PALATE_ASSIGN_OR_RETURN(const at::Tensor vectors, model_.text().Encode(sequences));
  TakeRows(vectors, texts);
  tokens_.fetch_add(tokens, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status Executor::RunImages(const std::vector<WorkUnit*>& images) {
  std::vector<at::Tensor> pixels;
  pixels.reserve(images.size());
  for (WorkUnit* unit : images) pixels.push_back(std::move(unit->pixels));
  PALATE_RETURN_IF_ERROR(models::CatchTorch([&] {
    const c10::InferenceMode inference;
    const at::Tensor vectors = model_.vision().Embed(at::stack(pixels), model_.vision_pooling());
    TakeRows(vectors / at::clamp_min(vectors.norm(2, {1}, /*keepdim=*/true), 1e-12), images);
  }));
  images_.fetch_add(static_cast<int64_t>(images.size()), std::memory_order_relaxed);
  return absl::OkStatus();
}

}  // namespace palate::embedding
