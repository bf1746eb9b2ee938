// An embedding model that a test can block: a text encoder behind a valve. Thread-safe.
#pragma once

#include <ATen/ops/zeros.h>

#include <memory>
#include <utility>

#include "base/mutex.h"
#include "embedding/encoder.h"

namespace palate::embedding {

// Blocks threads in Pass() while it is closed. Thread-safe.
class Valve {
 public:
  void Set(bool open) {
    const MutexLock lock(mutex_);
    open_ = open;
    changed_.SignalAll();
  }
  void Pass() {
    const MutexLock lock(mutex_);
    while (!open_) changed_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = true;
};

// A text encoder whose batches each pass a valve. All its vectors are equal.
class ValveEncoder final : public Encoder {
 public:
  explicit ValveEncoder(std::shared_ptr<Valve> valve) : valve_(std::move(valve)) {
    info_.name = info_.family = "valve";
    info_.dimensions = 4;
    info_.pooling = "mean";
    info_.spaces = {{.name = "text", .fingerprint = "valve", .available = true, .calibration = {}}};
  }
  bool sees_images() const override { return false; }
  bool is_joint() const override { return false; }
  int64_t EstimateImage(int64_t, int64_t) const override { return 1; }
  absl::StatusOr<EncoderImage> PrepareImage(const models::Image&) const override {
    return absl::InvalidArgumentError("reads no images");
  }
  absl::StatusOr<PreparedPass> Prepare(const PassContent& content) const override {
    PreparedPass pass;
    pass.ids = {static_cast<int64_t>(content.text.size())};
    pass.tokens = 1;
    return pass;
  }
  absl::StatusOr<at::Tensor> Encode(absl::Span<const PreparedPass* const> passes) const override {
    valve_->Pass();
    at::Tensor vectors = at::zeros({static_cast<int64_t>(passes.size()), info_.dimensions});
    vectors.select(1, 0).fill_(1);
    return vectors;
  }

 private:
  const std::shared_ptr<Valve> valve_;
};

}  // namespace palate::embedding
