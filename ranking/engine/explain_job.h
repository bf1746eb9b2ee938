// One Explain request: the executor's thread generates and checks its texts, the caller's thread
// receives them. Internal to ranking/engine.
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

// Counters over all requests of an engine.
struct ExplainCounts {
  std::atomic<int64_t> accepted{0};
  std::atomic<int64_t> refused{0};
  std::atomic<int64_t> templates{0};
};

// Passes the text to `on_text` word by word. False if `on_text` stops it.
bool StreamText(const std::string& text, size_t input_index, const OnTextFn& on_text);

// Step() is called on the executor's thread, the other methods on the caller's thread; both may
// share the job.
class ExplainJob {
 public:
  // Creates plans and prompts. What a plan leaves nothing to say about gets its template at once;
  // the model is not asked. Copies `inputs`; borrows the rest, which must outlive the last step.
  static absl::StatusOr<std::shared_ptr<ExplainJob>> Create(const std::vector<ExplainInput>& inputs,
                                                            const LoadedModel& loaded,
                                                            const EngineOptions& options,
                                                            CostMeter& step_cost,
                                                            ExplainCounts& counts);

  // The texts that the model is asked for. Before the first step.
  size_t num_asked() const { return waiting_.size(); }
  // Runs one decoding step. False if nothing is left to do or the job was abandoned.
  bool Step() ABSL_LOCKS_EXCLUDED(mutex_);

  // Indices of explanations that became ready since the last call. Empty if `timeout` passed, or
  // after StopWaiting().
  std::vector<size_t> WaitForFinished(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends a running wait and makes later ones return at once. Any thread.
  void StopWaiting() ABSL_LOCKS_EXCLUDED(mutex_);
  // Replaces all explanations that are not ready by templates and returns the indices that were not
  // returned before. Later steps do nothing.
  std::vector<size_t> GiveUpOnTheRest() ABSL_LOCKS_EXCLUDED(mutex_);
  // Later steps do nothing.
  void Abandon() { abandoned_ = true; }
  // True if all explanations were returned by the methods above, or the job failed.
  bool AllDelivered() const ABSL_LOCKS_EXCLUDED(mutex_);
  // The error of decoding, or OK.
  absl::Status status() const ABSL_LOCKS_EXCLUDED(mutex_);
  // REQUIRES: `index` was returned before.
  const Explanation& explanation(size_t index) const { return texts_[index].explanation; }
  // REQUIRES: AllDelivered().
  std::vector<Explanation> TakeExplanations();

 private:
  // The state of one input. `explanation` is written before `ready` becomes true and read
  // afterwards.
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
  // Whether a text that begins with `ids` can still pass the check.
  bool Admits(const EvidenceChecker& checker, const std::vector<int64_t>& ids) const;
  void Judge(const DecodedText& decoded) ABSL_LOCKS_EXCLUDED(mutex_);
  Explanation TemplateFor(const Text& text, TemplateCause cause, std::string reason) const;
  void Deliver(size_t index, Explanation explanation) ABSL_LOCKS_EXCLUDED(mutex_);

  const LoadedModel& loaded_;
  const EngineOptions& options_;
  CostMeter& step_cost_;
  ExplainCounts& counts_;
  std::vector<Text> texts_;           // by input index
  std::deque<size_t> waiting_;        // to be drawn, or drawn again; the executor's
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
