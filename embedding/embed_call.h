// One call of Embedder::Embed: its inputs, and their passes on the way through preparing and
// computing. Internal to embedding/.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/call_context.h"
#include "base/mutex.h"
#include "embedding/batch_queue.h"
#include "embedding/embedder.h"
#include "embedding/encoder.h"

namespace palate::embedding {

// Some of the three spaces.
struct SpaceSet {
  bool text = false;
  bool image = false;
  bool fused = false;
};

// One pass of an input's, ready for the model.
struct InputPass {
  std::string field;  // what errors name: "fields[0]", or empty for the whole input
  SpaceSet spaces;    // whose vector it contributes to
  PreparedPass pass;
};

// The vector of a pass: unit length.
struct PassVector {
  SpaceSet spaces;
  std::vector<float> values;
};

// What became of one input.
struct InputOutcome {
  absl::Status status;
  std::vector<PassVector> vectors;  // in the order of its passes
  int64_t tokens = 0;
  int64_t truncated_tokens = 0;
};

// Thread-safe. Shared by the caller's thread, the preparing threads, the queue and the executor, so
// that the caller can leave at its deadline while others still hold a piece.
class EmbedCall : public std::enable_shared_from_this<EmbedCall> {
 public:
  struct Limits {
    int preparing = 4;            // inputs that may be in preparation at a time
    int64_t prepared_tokens = 0;  // passes that may wait for the executor: bounds the call's memory
  };
  // What is asked, in which spaces, and until when.
  struct Request {
    std::vector<EmbedInput> inputs;
    EmbedOptions options;
    SpaceSet spaces;
    CallContext context;
  };

  // `estimates` are the tokens admitted for each input. Borrows the queue, which outlives every
  // piece.
  EmbedCall(Request request, std::vector<int64_t> estimates, const Limits& limits,
            BatchQueue& queue);

  const std::vector<EmbedInput>& inputs() const { return request_.inputs; }
  const EmbedOptions& options() const { return request_.options; }
  const SpaceSet& wanted_spaces() const { return request_.spaces; }

  // OK until the call is cancelled, late or given up. Lock-free.
  absl::Status CheckStillWanted(absl::Time now) const;

  // The caller's thread: whether the next input may be prepared now; counts it as being prepared.
  bool BeginPreparing() ABSL_LOCKS_EXCLUDED(mutex_);
  // The caller's thread: blocks until inputs are finished, which it returns, or (`more`) until
  // another may be prepared. Otherwise the status that ends the call.
  absl::StatusOr<std::vector<size_t>> WaitForProgress(bool more) ABSL_LOCKS_EXCLUDED(mutex_);
  // Any thread: lets WaitForProgress see that the call was cancelled.
  void Wake() ABSL_LOCKS_EXCLUDED(mutex_);
  // What became of a finished input; once.
  InputOutcome TakeOutcome(size_t input) ABSL_LOCKS_EXCLUDED(mutex_);
  // The caller leaves: drops what still waits, and returns what was admitted for it.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  // A preparing thread: an input's passes, which go to the queue, or why it has none.
  void Prepared(size_t input, absl::StatusOr<std::vector<InputPass>> passes)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The executor, through EmbedWork.
  void PassDone(size_t input, size_t pass, int64_t cost, absl::Status status,
                std::vector<float> vector) ABSL_LOCKS_EXCLUDED(mutex_);
  void GiveUp(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct InputState {
    InputOutcome outcome;
    size_t open_passes = 0;
  };

  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndWith(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns admitted tokens to the queue, unless Close has.
  void Release(int64_t tokens) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Request request_;
  const std::vector<int64_t> estimates_;
  const Limits limits_;
  BatchQueue& queue_;

  std::atomic<bool> over_ = false;
  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<InputState> states_ ABSL_GUARDED_BY(mutex_);
  std::vector<size_t> finished_ ABSL_GUARDED_BY(mutex_);
  int preparing_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t prepared_tokens_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t admitted_tokens_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status ending_ ABSL_GUARDED_BY(mutex_);  // why the call as a whole failed
};

// A pass in the queue.
class EmbedWork final : public QueuedWork {
 public:
  EmbedWork(std::shared_ptr<EmbedCall> call, size_t input, size_t index, InputPass pass);

  const PreparedPass& pass() const { return pass_.pass; }
  // Exactly one of these, once.
  void Computed(absl::Span<const float> vector);
  void Failed(const absl::Status& why);

  absl::Status CheckStillWanted(absl::Time now) const override {
    return call_->CheckStillWanted(now);
  }
  void Dropped(const absl::Status& why) override { call_->GiveUp(why); }

 private:
  const std::shared_ptr<EmbedCall> call_;
  const size_t input_;
  const size_t index_;
  InputPass pass_;
};

}  // namespace palate::embedding
