// A language model that scores candidates and writes explanations: a Hugging Face folder of a text
// decoder family with a palate.json.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto engine, LlmEngine::Load(folder));
//   PALATE_ASSIGN_OR_RETURN(const RankOutput ranking, engine->Rank(input, {.deadline = deadline}));
//   PALATE_ASSIGN_OR_RETURN(const std::vector<Explanation> explanations,
//                           engine->Explain(explain_inputs, /*on_text=*/nullptr, {}));
//
// Rank computes prompt.h's RANK prompt causally, and only the logits of the two label tokens at the
// label slots. Explain decodes several prompts at once with a KV cache; sequences leave the batch
// when they end. Decoding is constrained: a word or slot after which the text cannot become true
// any more (EvidenceChecker::RefuseBeginning) is not drawn. A text is used only if evidence_check.h
// accepts all of it. A refused text is drawn again and finally replaced by the template; both are
// counted.
//
// All work runs on one executor thread (llm_executor.h); scorings precede decoding steps. Callers
// block; any number may call.
//
//   RESOURCE_EXHAUSTED  at once, when a queue is full
//   DEADLINE_EXCEEDED   at once, when the waiting work and this request would exceed the deadline,
//                       by the measured cost of a token; for Rank also when the deadline passes
//   CANCELLED           at once, when the call is cancelled; decoding stops at the next step
//
// Thread-safe after Load. Weights are mapped from the folder, which must not change. No LibTorch
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
  // Threads of one operation, set once for the process; 0 keeps LibTorch's default.
  int intra_op_threads = 0;
  // Waiting requests, beyond which calls are refused with RESOURCE_EXHAUSTED.
  size_t max_queued_rankings = 64;
  size_t max_queued_explanations = 16;
  // Limit on the prompt of one Rank, over all candidates, in tokens.
  int64_t max_rank_tokens = 65536;
  // Tokens of one forward. Longer rank prompts take several forwards and give the same scores.
  int64_t max_forward_tokens = 256;
  // Texts that one request generates at a time; more are generated in waves.
  size_t max_decode_batch = 32;
  int max_new_tokens = 96;
  // Texts drawn for one explanation before the template replaces it.
  int max_attempts = 8;
  // 0 always takes the likeliest token, so that wordings hardly vary between items.
  double temperature = 0.7;
  // The engine is unhealthy when it makes no progress on its work for this long. Must exceed the
  // time of one forward of max_forward_tokens and of one decode step.
  absl::Duration stuck_after = absl::Seconds(30);
};

// Receives a piece of a text on the calling thread. Returning false ends the call with CANCELLED.
using OnTextFn = std::function<bool(size_t input_index, const std::string& piece)>;

class LlmEngine final : public RankingModel {
 public:
  // NotFound, InvalidArgument, DataLoss or Unimplemented naming the file; FailedPrecondition when
  // the tokenizer lacks a special token of the prompt style. Runs a small prompt to warm up and to
  // measure the cost of a token.
  static absl::StatusOr<std::unique_ptr<LlmEngine>> Load(const std::string& folder,
                                                         const EngineOptions& options = {});
  ~LlmEngine() override;
  LlmEngine(const LlmEngine&) = delete;
  LlmEngine& operator=(const LlmEngine&) = delete;

  // One score per candidate, in order; no candidates give no scores. InvalidArgument when the
  // prompt exceeds max_rank_tokens, or when there are documents, which the prompt does not support.
  // It has no place for an instruction or a query either: RankOutput::unused_fields names them. A
  // candidate whose score is not finite fails alone, in RankOutput::failures.
  absl::StatusOr<RankOutput> Rank(const RankInput& input, const CallContext& context) override;

  // One explanation per input, in order, in English whatever `language` is. Texts, including
  // templates, are streamed in pieces once they are final. When the deadline passes during
  // decoding, unfinished explanations become templates with a rejected_reason.
  absl::StatusOr<std::vector<Explanation>> Explain(const std::vector<ExplainInput>& inputs,
                                                   const OnTextFn& on_text,
                                                   const CallContext& context);

  RankMode mode() const override { return RankMode::kListwise; }
  bool reads_images() const override { return false; }
  // Identifies weights, tokenizer and prompt style.
  const std::string& fingerprint() const override;
  // The longest prompt of one candidate, limited by the positions of the model.
  int max_prompt_tokens() const override;
  EngineStats stats() const override;
  // Unavailable while the model has made no progress on its work for longer than stuck_after.
  absl::Status Health() const override;

 private:
  class Impl;
  explicit LlmEngine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace palate::ranking
