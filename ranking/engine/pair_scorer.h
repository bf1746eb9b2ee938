// Computes the log-odds of many sequences with one causal model: the logit of yes minus that of no
// after the last token of each. Internal to ranking/engine; LibTorch.
//
// The common prefix of all sequences (the judge's turn, the instruction, the query and its images)
// is computed once and passed to every sequence in the KV cache. Sequences are computed in groups
// of bounded size, sorted by length. Neither changes a score by more than 1e-5 in float32, or by
// more than the rounding of narrower types.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/causal_lm/causal_lm.h"

namespace palate::ranking {

// The linear map from a hidden state to log-odds. Immutable; thread-safe.
class AnswerHead {
 public:
  // Unimplemented if the checkpoint has no output matrix.
  static absl::StatusOr<AnswerHead> Create(std::shared_ptr<const models::CausalLm> model,
                                           int64_t yes_id, int64_t no_id);

  // `hidden` is [n, hidden], after the last norm, of any floating type and device. Returns float32
  // [n] on the CPU. May throw.
  at::Tensor LogOdds(const at::Tensor& hidden) const;
  const models::CausalLm& model() const { return *model_; }

 private:
  AnswerHead(std::shared_ptr<const models::CausalLm> model, at::Tensor direction)
      : model_(std::move(model)), direction_(std::move(direction)) {}

  std::shared_ptr<const models::CausalLm> model_;
  at::Tensor direction_;  // float32 [hidden] on the CPU: the difference of the output rows
};

struct PairScoringOptions {
  int64_t max_forward_tokens = 2048;  // new tokens per forward; a longer sequence is computed alone
  int64_t slice_tokens = 16384;       // approximate new tokens per Step
  bool share_prefix = true;
};

// The sequences of one request and their scores so far. Not thread-safe.
class PairScoring {
 public:
  // REQUIRES: every sequence has passed CausalLm::Check. Borrows `head`.
  PairScoring(const AnswerHead& head, std::vector<models::LmSequence> sequences,
              const PairScoringOptions& options);

  // Computes about slice_tokens; returns true if more remain. Calls `wanted` between forwards; if
  // it returns false, the step ends with Cancelled.
  absl::StatusOr<bool> Step(const std::function<bool()>& wanted);

  // The tokens computed over all steps, the shared part counted once.
  int64_t num_tokens() const { return num_tokens_; }
  // The length of the shared prefix; 0 if there is none.
  int64_t shared_tokens() const { return static_cast<int64_t>(shared_.ids.size()); }
  // One per sequence; complete after Step has returned false.
  const std::vector<float>& log_odds() const { return log_odds_; }

 private:
  void SplitSharedPrefix();
  void MakeGroups();
  void ComputeGroup(const std::vector<size_t>& group, const models::LmCache* prefix);
  models::LmCache ComputePrefix() const;

  const AnswerHead& head_;
  const PairScoringOptions options_;
  models::LmSequence shared_;                  // empty when nothing is shared
  std::vector<models::LmSequence> sequences_;  // without the shared part
  std::vector<std::vector<size_t>> groups_;
  size_t next_group_ = 0;
  int64_t num_tokens_ = 0;
  std::vector<float> log_odds_;
};

}  // namespace palate::ranking
