// Log-odds of many sequences under one causal model: yes minus no after the last token of each.
// Internal to ranking/engine; LibTorch.
//
// What all sequences begin with (the judge's turn, the instruction, the query and its images) is
// computed once and lent to every sequence through the KV cache. Sequences are computed in groups
// of bounded size, sorted by length. Neither changes a score by more than 1e-5 in float32; in
// narrower types by no more than their rounding does.
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
  // Unimplemented when the checkpoint has no output matrix.
  static absl::StatusOr<AnswerHead> Create(std::shared_ptr<const models::CausalLm> model,
                                           int64_t yes_id, int64_t no_id);

  // `hidden` is [n, hidden], after the last norm, of any floating type and device. float32 [n] on
  // the CPU. May throw.
  at::Tensor LogOdds(const at::Tensor& hidden) const;
  const models::CausalLm& model() const { return *model_; }

 private:
  AnswerHead(std::shared_ptr<const models::CausalLm> model, at::Tensor direction)
      : model_(std::move(model)), direction_(std::move(direction)) {}

  std::shared_ptr<const models::CausalLm> model_;
  at::Tensor direction_;  // float32 [hidden] on the CPU: the output rows' difference
};

struct PairScoringOptions {
  int64_t max_forward_tokens =
      2048;  // new tokens of one forward; a longer sequence is one forward of its own
  int64_t slice_tokens = 16384;  // new tokens of one Step, about
  bool share_prefix = true;
};

// One request's sequences on their way. One thread at a time.
class PairScoring {
 public:
  // Every sequence has passed CausalLm::Check. `head` is borrowed.
  PairScoring(const AnswerHead& head, std::vector<models::LmSequence> sequences,
              const PairScoringOptions& options);

  // Computes about slice_tokens; true when more remain. `wanted` is asked between forwards; false
  // ends the step with Cancelled.
  absl::StatusOr<bool> Step(const std::function<bool()>& wanted);

  // Tokens that a run over all of it computes.
  int64_t num_tokens() const { return num_tokens_; }
  // Tokens that all sequences share and that are computed once; 0 when there are none.
  int64_t shared_tokens() const { return static_cast<int64_t>(shared_.ids.size()); }
  // By sequence; complete once Step has returned false.
  const std::vector<float>& log_odds() const { return log_odds_; }

 private:
  void SplitSharedPrefix();
  void MakeGroups();
  void ComputeGroup(const std::vector<size_t>& group, const models::LmCache* prefix);
  models::LmCache ComputePrefix() const;

  const AnswerHead& head_;
  const PairScoringOptions options_;
  models::LmSequence shared_;                  // empty when nothing is shared
  std::vector<models::LmSequence> sequences_;  // what follows the shared part
  std::vector<std::vector<size_t>> groups_;
  size_t next_group_ = 0;
  int64_t num_tokens_ = 0;
  std::vector<float> log_odds_;
};

}  // namespace palate::ranking
