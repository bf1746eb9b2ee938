// Vector segments whose searches wait until the test lets them pass. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "retrieval/vector_segment.h"
#include "tests/fakes/exact_segments.h"

namespace palate::retrieval {

// Blocks searches until the test releases them; those of the second axis only, where told so.
class GatedSegments final : public VectorSegmentFactory {
 public:
  absl::StatusOr<std::unique_ptr<VectorSegment>> Build(int dimensions,
                                                       const std::vector<float>& vectors,
                                                       bool) const override {
    return std::make_unique<Gated>(*this, dimensions, vectors);
  }
  absl::StatusOr<std::unique_ptr<VectorSegment>> Deserialize(int, int64_t,
                                                             absl::string_view) const override {
    return absl::UnimplementedError("not read back in this test");
  }
  std::string Describe() const override { return "gated scan"; }

  void Open() {
    MutexLock lock(mutex_);
    open_ = true;
    changed_.SignalAll();
  }
  void WaitForSearch(int count = 1) {
    MutexLock lock(mutex_);
    while (waiting_ < count) changed_.Wait(mutex_);
  }

  explicit GatedSegments(bool only_second_axis = false) : only_second_axis_(only_second_axis) {}

 private:
  class Gated final : public VectorSegment {
   public:
    Gated(const GatedSegments& gate, int dimensions, std::vector<float> vectors)
        : gate_(gate), exact_(dimensions, std::move(vectors)) {}
    int64_t size() const override { return exact_.size(); }
    int dimensions() const override { return exact_.dimensions(); }
    int64_t memory_bytes() const override { return exact_.memory_bytes(); }
    absl::StatusOr<std::vector<VectorHit>> Search(const float* query, int64_t k,
                                                  const Bitmap* allowed) const override {
      if (!gate_.only_second_axis_ || query[1] > 0) gate_.Pass();
      return exact_.Search(query, k, allowed);
    }
    void Reconstruct(int64_t index, float* out) const override { exact_.Reconstruct(index, out); }
    absl::StatusOr<std::string> Serialize() const override { return exact_.Serialize(); }

   private:
    const GatedSegments& gate_;
    const ExactSegment exact_;
  };

  void Pass() const {
    MutexLock lock(mutex_);
    ++waiting_;
    changed_.SignalAll();
    while (!open_) changed_.Wait(mutex_);
  }

  const bool only_second_axis_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  mutable int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace palate::retrieval
