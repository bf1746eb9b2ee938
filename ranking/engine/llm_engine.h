// One language model that scores candidates and writes explanations: a Hugging Face folder of a
// text decoder family with a palate.json.
//
// Rank is one causal forward over prompt.h's RANK prompt; only the logits of the two label tokens
// are computed, at the label slots. Explain decodes several prompts at once with a KV cache;
// sequences leave the batch as they end. Decoding is constrained: a word or slot with which the
// text could no longer become true (RefuseBeginning) is not drawn. A text counts only when
// evidence_check.h accepts the whole of it; a refused one is drawn again, then replaced by the
// template, and counted.
//
// Work runs on one executor thread (executor.h), scoring before decoding, steps of a decode in
// between. Callers block; they may be many.
//   RESOURCE_EXHAUSTED  at once, when a queue is full
//   DEADLINE_EXCEEDED   at once, when the work that waits and this request would take longer than
//   the caller has, by the measured cost of a
//                       token; or later, when the deadline passes
//   CANCELLED           at once, when the call is cancelled; decoding stops at the next step
// Thread-safe after Load. Weights are mapped from the folder, which must stay as it is. No LibTorch
// type is visible here. Float32 on the CPU. Log-odds do not depend on the other candidates, their
// order or their number beyond rounding (1e-4).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/call_context.h"
#include "ranking/engine/ranking_model.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

struct EngineOptions {
  // Threads inside one operation, set once for the process; 0 leaves LibTorch's own choice.
  int intra_op_threads = 0;
  // Requests that wait or run, beyond which RESOURCE_EXHAUSTED answers.
  size_t max_queued_rankings = 64;
  size_t max_queued_explanations = 16;
  // Longest prompt of one Rank, over all candidates, in tokens.
  int64_t max_rank_tokens = 65536;
  // Tokens of one forward: longer rank prompts are computed in several, with the same scores.
  int64_t max_forward_tokens = 256;
  // Texts written at the same time by one request; more go in waves.
  size_t max_decode_batch = 32;
  int max_new_tokens = 96;
  // Texts drawn for one explanation before the template stands in.
  int max_attempts = 8;
  // 0 takes the likeliest word each time; wordings then hardly vary between items.
  double temperature = 0.7;
  // A step that runs longer makes the engine unhealthy.
  absl::Duration stuck_after = absl::Seconds(30);
};

// A piece of an accepted text, on the calling thread. False stops the call with CANCELLED.
using OnTextFn = std::function<bool(size_t input_index, const std::string& piece)>;

class LlmEngine final : public RankingModel {
 public:
  // NotFound, InvalidArgument, DataLoss or Unimplemented naming the file; FailedPrecondition when
  // the tokenizer lacks a special token of the prompt style. Runs one small prompt, to warm up and
  // to learn what a token costs.
  static absl::StatusOr<std::unique_ptr<LlmEngine>> Load(const std::string& folder,
                                                         const EngineOptions& options = {});
  ~LlmEngine() override;
  LlmEngine(const LlmEngine&) = delete;
  LlmEngine& operator=(const LlmEngine&) = delete;

  // One score per candidate, in order; no candidates give no scores. InvalidArgument when the
  // prompt exceeds max_rank_tokens, or when there is a query or documents, which the prompt has no
  // place for.
  absl::StatusOr<RankOutput> Rank(const RankInput& input, const CallContext& context) override;

  // One explanation per input, in order, in English whatever `language` says. Texts stream piece by
  // piece once they are accepted; the template's text streams too. When the deadline passes while
  // texts are being written, what is not finished becomes the template, and says so in
  // rejected_reason.
  absl::StatusOr<std::vector<Explanation>> Explain(const std::vector<ExplainInput>& inputs,
                                                   const OnTextFn& on_text,
                                                   const CallContext& context);

  RankMode mode() const override { return RankMode::kListwise; }
  bool reads_images() const override { return false; }
  // Names weights, tokenizer and prompt style.
  const std::string& fingerprint() const override;
  // Longest rank prompt for one candidate that the model has positions for.
  int max_prompt_tokens() const override;
  EngineStats stats() const override;
  // Unavailable when one step has been running for longer than stuck_after.
  absl::Status Health() const override;

 private:
  class Impl;
  explicit LlmEngine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace palate::ranking
