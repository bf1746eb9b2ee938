// A published reranker that scores (query, document) pairs one at a time: Qwen3-Reranker (text) or
// Qwen3-VL-Reranker (text and images), with the protocol of rerank_protocol.h.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto reranker, PointwiseReranker::Load(folder));
//   RankInput input;
//   input.query = RankContent{"a walnut chair"};
//   input.documents = {{"A chair of solid walnut."}, {"A brass lamp."}};
//   PALATE_ASSIGN_OR_RETURN(const RankOutput output, reranker->Rank(input, {.deadline =
//   deadline})); const std::vector<float>& relevance = output.relevance;
//
// The folder is a Hugging Face one of the family qwen3 or qwen3_vl. The config of a published
// reranker does not distinguish it from a chat model of its family, so any such folder loads if it
// has an output matrix and a vocabulary with the special tokens of the prompt and "yes" and "no" as
// single tokens.
//
// A score is the log-odds logit("yes") - logit("no"); the published score is its sigmoid. It
// depends neither on the other documents nor on their order beyond rounding: 1e-5 of the published
// score in float32.
//
// Texts are encoded and images decoded on the caller's thread. The model runs on one executor
// thread, where requests take turns of bounded size (score_queue.h defines the refusals).
// Thread-safe after Load. No LibTorch type is visible here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/call_context.h"
#include "ranking/engine/ranking_model.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

struct RerankerOptions {
  // Threads of one operation, set once for the process; 0 keeps LibTorch's default.
  int intra_op_threads = 0;
  std::string dtype = "fp32";  // "fp32", "bf16", "fp16", or "auto": a guess by the device
  std::string device = "cpu";  // "cpu", "cuda", "cuda:1", or "auto"
  // Waiting requests, beyond which calls are refused with RESOURCE_EXHAUSTED.
  size_t max_queued_rankings = 64;
  // Limit on one request, over all its pairs, in tokens.
  int64_t max_rank_tokens = 262144;
  // Tokens of one forward. Pairs are computed in groups of this size, with the same scores.
  int64_t max_forward_tokens = 2048;
  // Compute the common prefix of all pairs of a request once.
  bool share_prefix = true;
  // The reranker is unhealthy when it makes no progress on its work for this long. Must exceed the
  // time of one forward of max_forward_tokens.
  absl::Duration stuck_after = absl::Seconds(120);
};

class PointwiseReranker final : public RankingModel {
 public:
  // NotFound, InvalidArgument, DataLoss or Unimplemented naming the file or the family;
  // FailedPrecondition naming a token that the vocabulary lacks. Runs a small request to warm up
  // and to measure the cost of a token.
  static absl::StatusOr<std::unique_ptr<PointwiseReranker>> Load(
      const std::string& folder, const RerankerOptions& options = {});
  ~PointwiseReranker() override;
  PointwiseReranker(const PointwiseReranker&) = delete;
  PointwiseReranker& operator=(const PointwiseReranker&) = delete;

  // One score per document, or per candidate if there are no documents; pointwise_text.h writes the
  // contents that are not given. An empty instruction is replaced by the protocol's default for a
  // given query, and by that of pointwise_text.h for a query written from the history.
  //
  // A document that cannot be scored (a broken image, an image given to a text-only model, text
  // that is not UTF-8, more tokens than the model has positions) fails alone, in
  // RankOutput::failures. A query that cannot be read fails the request, with InvalidArgument
  // naming it, and so does a request beyond max_rank_tokens.
  absl::StatusOr<RankOutput> Rank(const RankInput& input, const CallContext& context) override;

  RankMode mode() const override { return RankMode::kPointwise; }
  bool reads_images() const override;
  // Identifies weights, tokenizer, protocol and compute type.
  const std::string& fingerprint() const override;
  // The longest pair, in tokens; longer ones are truncated.
  int max_prompt_tokens() const override;
  // The counters of explanations are 0.
  EngineStats stats() const override;
  // Unavailable while the model has made no progress on its work for longer than stuck_after.
  absl::Status Health() const override;

 private:
  class Impl;
  explicit PointwiseReranker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace palate::ranking
