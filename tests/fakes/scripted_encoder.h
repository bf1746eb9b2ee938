// An encoder whose timing and failures a test controls. The text of an input selects its behavior:
//
//   "poison…"   fails every batch that contains it
//   "nan…"      has a vector that is not finite
//   "slow…"     is not prepared before OpenPreparing
//
// Vectors of other texts encode their length.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "base/mutex.h"
#include "embedding/encoder.h"
#include "models/torch_status.h"

namespace palate::embedding {

class ScriptedEncoder final : public Encoder {
 public:
  ScriptedEncoder() {
    info_.name = "scripted";
    info_.dimensions = 2;
    info_.max_text_tokens = 1 << 20;
    info_.spaces = {
        {.name = "text", .fingerprint = "scripted", .available = true, .calibration = {}}};
  }

  bool sees_images() const override { return false; }
  bool is_joint() const override { return false; }
  int64_t EstimateImage(int64_t, int64_t) const override { return 0; }
  absl::StatusOr<EncoderImage> PrepareImage(const models::Image&) const override {
    return absl::UnimplementedError("no images");
  }

  // Every byte is a token.
  absl::StatusOr<PreparedPass> Prepare(const PassContent& content) const override {
    const MutexLock lock(mutex_);
    ++preparing_;
    changed_.SignalAll();
    while (absl::StartsWith(content.text, "slow") && !preparing_open_) changed_.Wait(mutex_);

    PreparedPass pass;
    pass.ids.assign(content.text.begin(), content.text.end());
    pass.cost = pass.tokens = static_cast<int64_t>(pass.ids.size());
    ++prepared_;
    prepared_texts_.insert(content.text);
    changed_.SignalAll();
    return pass;
  }

  absl::StatusOr<at::Tensor> Encode(absl::Span<const PreparedPass* const> passes) const override {
    std::vector<std::string> texts;
    for (const PreparedPass* pass : passes) texts.emplace_back(pass->ids.begin(), pass->ids.end());

    {
      const MutexLock lock(mutex_);
      ++entered_;
      changed_.SignalAll();
      while (held_ && allowed_ == 0) changed_.Wait(mutex_);
      allowed_ -= held_ ? 1 : 0;
      batches_.push_back(texts);
    }

    return models::CatchTorch([&] {
      at::Tensor vectors = at::zeros({static_cast<int64_t>(texts.size()), 2}, at::kFloat);
      for (size_t i = 0; i < texts.size(); ++i) {
        if (absl::StartsWith(texts[i], "poison"))
          throw std::runtime_error("this text breaks the kernel");
        const bool nan = absl::StartsWith(texts[i], "nan");
        const double angle = nan ? std::numeric_limits<double>::quiet_NaN()
                                 : 0.01 * static_cast<double>(texts[i].size());
        vectors[static_cast<int64_t>(i)][0] = std::cos(angle);
        vectors[static_cast<int64_t>(i)][1] = std::sin(angle);
      }
      return vectors;
    });
  }

  // From now on each batch waits for LetThrough or Open.
  void Hold() {
    const MutexLock lock(mutex_);
    held_ = true;
  }
  void LetThrough(int batches) {
    const MutexLock lock(mutex_);
    allowed_ += batches;
    changed_.SignalAll();
  }
  void Open() {
    const MutexLock lock(mutex_);
    held_ = false;
    changed_.SignalAll();
  }
  void OpenPreparing() {
    const MutexLock lock(mutex_);
    preparing_open_ = true;
    changed_.SignalAll();
  }
  // Block until so many batches were started, or texts were prepared or started.
  void WaitForBatches(int count) const { WaitFor(entered_, count); }
  void WaitForPrepared(int count) const { WaitFor(prepared_, count); }
  void WaitForPrepared(const std::string& text) const {
    const MutexLock lock(mutex_);
    while (!prepared_texts_.contains(text)) changed_.Wait(mutex_);
  }
  void WaitForPreparing(int count) const { WaitFor(preparing_, count); }

  // The texts of the batches that were computed.
  std::vector<std::vector<std::string>> batches() const {
    const MutexLock lock(mutex_);
    return batches_;
  }

 private:
  void WaitFor(const int& counter, int count) const {
    const MutexLock lock(mutex_);
    while (counter < count) changed_.Wait(mutex_);
  }

  mutable Mutex mutex_;
  mutable CondVar changed_;
  bool held_ = false;
  bool preparing_open_ = false;
  mutable int allowed_ = 0;
  mutable int entered_ = 0;
  mutable int preparing_ = 0;
  mutable int prepared_ = 0;
  mutable std::set<std::string> prepared_texts_;
  mutable std::vector<std::vector<std::string>> batches_;
};

}  // namespace palate::embedding
