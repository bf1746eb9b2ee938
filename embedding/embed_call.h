// The state of one call of Embedder::Embed: its inputs and their passes while they are prepared and
// computed. Internal to embedding/.
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
#include "domain/part_failure.h"
#include "embedding/batch_queue.h"
#include "embedding/embedder.h"
#include "embedding/encoder.h"

namespace palate::embedding {

// A subset of the three spaces.
struct SpaceSet {
  bool text = false;
  bool image = false;
  bool fused = false;
};

// One prepared forward pass of an input.
struct InputPass {
  std::string field;  // named in errors: "fields[0]", "fused", or empty for the whole input
  SpaceSet spaces;    // the spaces whose vectors it contributes to
  PreparedPass pass;
};

// The passes of an input, and its parts that are not in them.
struct PreparedInput {
  std::vector<InputPass> passes;
  std::vector<PartFailure> failed_parts;
};

// The unit vector that a pass computed; empty when it failed.
struct PassVector {
  SpaceSet spaces;
  std::vector<float> values;
};

// The result of one input.
struct InputOutcome {
  absl::Status status;
  std::vector<PassVector> vectors;  // in the order of its passes
  int64_t tokens = 0;
  int64_t truncated_tokens = 0;
  std::vector<PartFailure> failed_parts;
};

// Thread-safe. Shared by the caller's thread, the preparing threads, the queue and the executor, so
// that the caller can return at its deadline while others still hold its work.
class EmbedCall : public std::enable_shared_from_this<EmbedCall> {
 public:
  struct Limits {
    int preparing = 4;            // inputs prepared at a time
    int64_t prepared_tokens = 0;  // limit on prepared passes, which bounds memory
  };
  struct Request {
    std::vector<EmbedInput> inputs;
    EmbedOptions options;
    SpaceSet spaces;
    CallContext context;
  };

  // `estimates` are the tokens admitted for each input. Borrows the queue, which must outlive all
  // work of the call.
  EmbedCall(Request request, std::vector<int64_t> estimates, const Limits& limits,
            BatchQueue& queue);

  const std::vector<EmbedInput>& inputs() const { return request_.inputs; }
  const EmbedOptions& options() const { return request_.options; }
  const SpaceSet& wanted_spaces() const { return request_.spaces; }

  // OK until the call is cancelled, past its deadline or abandoned. Lock-free.
  absl::Status CheckStillWanted(absl::Time now) const;

  // Caller's thread: true if the next input may be prepared now, in which case it counts as being
  // prepared.
  bool BeginPreparing() ABSL_LOCKS_EXCLUDED(mutex_);
  // Caller's thread: blocks until inputs are finished, and returns them, or, with `more`, until
  // another may be prepared. Returns the status that ends the call otherwise.
  absl::StatusOr<std::vector<size_t>> WaitForProgress(bool more) ABSL_LOCKS_EXCLUDED(mutex_);
  // Any thread: wakes WaitForProgress to check for cancellation.
  void Wake() ABSL_LOCKS_EXCLUDED(mutex_);
  // Moves the outcome of a finished input out; call once per input.
  InputOutcome TakeOutcome(size_t input) ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends the call: drops its waiting work and releases the tokens admitted for it.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  // Preparing thread: queues the passes of an input, or records why it has none.
  void Prepared(size_t input, absl::StatusOr<PreparedInput> prepared) ABSL_LOCKS_EXCLUDED(mutex_);
  // Executor, through EmbedWork. `failure` is OK when there is a vector.
  void PassDone(size_t input, size_t pass, int64_t cost, PartFailure failure,
                std::vector<float> vector) ABSL_LOCKS_EXCLUDED(mutex_);
  void GiveUp(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct InputState {
    InputOutcome outcome;
    size_t open_passes = 0;
  };

  // Decides between an error of the input and errors of its parts.
  void Finish(size_t input) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndWith(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Releases admitted tokens to the queue, unless Close has done so.
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
  absl::Status ending_ ABSL_GUARDED_BY(mutex_);  // why the whole call failed
};

// A pass in the queue.
class EmbedWork final : public QueuedWork {
 public:
  EmbedWork(std::shared_ptr<EmbedCall> call, size_t input, size_t index, InputPass pass);

  const PreparedPass& pass() const { return pass_.pass; }
  // Call exactly one of these, once.
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
