// One Explain request: its texts are drawn on the executor's thread, checked, and handed to the
// caller's thread. Internal to ranking/engine.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "ranking/engine/cost_meter.h"
#include "ranking/engine/decode_wave.h"
#include "ranking/engine/llm_engine.h"
#include "ranking/engine/loaded_model.h"
#include "ranking/explain/evidence_check.h"
#include "ranking/explain/explanation_plan.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

// Over all requests of an engine.
struct ExplainCounts {
  std::atomic<int64_t> accepted{0};
  std::atomic<int64_t> refused{0};
  std::atomic<int64_t> templates{0};
};

// Hands the text out in pieces of one word. False when the caller stops.
bool StreamText(const std::string& text, size_t input_index, const OnTextFn& on_text);

// Step() belongs to the executor's thread, the other methods to the caller's; both may hold the job
// at the same time.
class ExplainJob {
 public:
  // Makes plans and prompts, on the caller's thread. `inputs` is copied; everything else is
  // borrowed and outlives the job's last step.
  static absl::StatusOr<std::shared_ptr<ExplainJob>> Create(const std::vector<ExplainInput>& inputs,
                                                            const LoadedModel& loaded,
                                                            const EngineOptions& options,
                                                            CostMeter& step_cost,
                                                            ExplainCounts& counts);

  // One step of decoding. False when nothing is left to do, or nobody wants it any more.
  bool Step() ABSL_LOCKS_EXCLUDED(mutex_);

  // Indices of explanations that became ready and were not returned before; may be empty when
  // `timeout` passed or after StopWaiting().
  std::vector<size_t> WaitForFinished(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends a wait in progress, and makes every later one end at once. From any thread.
  void StopWaiting() ABSL_LOCKS_EXCLUDED(mutex_);
  // Templates stand in for whatever is not ready; returns the indices that were not returned
  // before. Step() does no more.
  std::vector<size_t> GiveUpOnTheRest() ABSL_LOCKS_EXCLUDED(mutex_);
  // Step() does no more.
  void Abandon() { abandoned_ = true; }
  // Whether every explanation was returned by one of the two methods above, or the job failed.
  bool AllDelivered() const ABSL_LOCKS_EXCLUDED(mutex_);
  // OK unless decoding failed.
  absl::Status status() const ABSL_LOCKS_EXCLUDED(mutex_);
  // `index` was returned before.
  const Explanation& explanation(size_t index) const { return texts_[index].explanation; }
  // After AllDelivered.
  std::vector<Explanation> TakeExplanations();

 private:
  // One input on its way. Its explanation is written before `ready` becomes true, and read after.
  struct Text {
    ExplainInput input;
    ExplanationPlan plan;
    std::unique_ptr<const EvidenceChecker> checker;  // of `plan`
    std::vector<int64_t> prompt;
    std::vector<SpecialToken> slots;
    int attempts = 0;
    Explanation explanation;
    bool ready = false;
  };

  ExplainJob(const LoadedModel& loaded, const EngineOptions& options, CostMeter& step_cost,
             ExplainCounts& counts)
      : loaded_(loaded), options_(options), step_cost_(step_cost), counts_(counts) {}

  absl::Status Advance();
  absl::Status StartWave();
  // Whether the check leaves room for a text that begins so.
  bool Admits(const EvidenceChecker& checker, const std::vector<int64_t>& ids) const;
  void Judge(const DecodedText& decoded) ABSL_LOCKS_EXCLUDED(mutex_);
  Explanation TemplateFor(const Text& text, std::string reason) const;
  void Deliver(size_t index, Explanation explanation) ABSL_LOCKS_EXCLUDED(mutex_);

  const LoadedModel& loaded_;
  const EngineOptions& options_;
  CostMeter& step_cost_;
  ExplainCounts& counts_;
  std::vector<Text> texts_;           // by input index
  std::deque<size_t> waiting_;        // not yet drawn, or to be drawn again; the executor's
  std::unique_ptr<DecodeWave> wave_;  // the executor's
  std::atomic<bool> abandoned_ = false;

  mutable Mutex mutex_;
  CondVar changed_;
  bool waits_ ABSL_GUARDED_BY(mutex_) = true;             // until StopWaiting()
  std::vector<size_t> finished_ ABSL_GUARDED_BY(mutex_);  // ready, not yet returned
  size_t num_returned_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace palate::ranking
