// A published reranker that scores (query, document) pairs one at a time: Qwen3-Reranker (text) or
// Qwen3-VL-Reranker (text and pictures), by the protocol of rerank_protocol.h.
//
// The folder is a Hugging Face one of the family qwen3 or qwen3_vl. Nothing in a published
// reranker's config tells it from a chat model of the same family, so any such folder loads; what
// must be there is a vocabulary with the prompt's special tokens and with "yes" and "no" as one
// token each, and an output matrix.
//
// A score is the log-odds logit("yes") - logit("no"); the published score is its sigmoid. It
// depends neither on the other documents nor on their order beyond rounding: 1e-5 of the published
// score in float32.
//
// Text is encoded and pictures are decoded on the caller's thread; the model runs on one executor
// thread, which takes requests in turns of bounded size (score_queue.h says when it refuses).
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
  // Threads inside one operation, set once for the process; 0 leaves LibTorch's own choice.
  int intra_op_threads = 0;
  std::string dtype = "fp32";  // "fp32", "bf16", "fp16", or "auto": what the device is fast in
  std::string device = "cpu";  // "cpu", "cuda", "cuda:1", or "auto"
  // Requests that wait or run, beyond which RESOURCE_EXHAUSTED answers.
  size_t max_queued_rankings = 64;
  // Longest request, over all its pairs, in tokens.
  int64_t max_rank_tokens = 262144;
  // Tokens of one forward: pairs are computed in groups of so many, with the same scores.
  int64_t max_forward_tokens = 2048;
  // What all pairs of a request begin with is computed once.
  bool share_prefix = true;
  // A step that runs longer makes the reranker unhealthy.
  absl::Duration stuck_after = absl::Seconds(120);
};

class PointwiseReranker final : public RankingModel {
 public:
  // NotFound, InvalidArgument, DataLoss or Unimplemented naming the file or the family;
  // FailedPrecondition naming a token that the vocabulary lacks. Runs a small request, to warm up
  // and to learn what a token costs.
  static absl::StatusOr<std::unique_ptr<PointwiseReranker>> Load(
      const std::string& folder, const RerankerOptions& options = {});
  ~PointwiseReranker() override;
  PointwiseReranker(const PointwiseReranker&) = delete;
  PointwiseReranker& operator=(const PointwiseReranker&) = delete;

  // One score per document, or per candidate when there are no documents; pointwise_text.h writes
  // what is not given as content. An empty instruction is the protocol's own for a given query, and
  // that of pointwise_text.h for one written from the history.
  //
  // A document that cannot be scored (a broken picture, one that the model has no eyes for, text
  // that is not UTF-8, more tokens than the model has positions for) fails alone, in
  // RankOutput::failures. A query that cannot be read fails the request, InvalidArgument naming it,
  // and so does a request beyond max_rank_tokens.
  absl::StatusOr<RankOutput> Rank(const RankInput& input, const CallContext& context) override;

  RankMode mode() const override { return RankMode::kPointwise; }
  bool reads_images() const override;
  // Names weights, tokenizer, protocol and compute type.
  const std::string& fingerprint() const override;
  // Longest pair in tokens; longer ones are cut.
  int max_prompt_tokens() const override;
  // Of explanations there are none.
  EngineStats stats() const override;
  // Unavailable when one step has been running for longer than stuck_after.
  absl::Status Health() const override;

 private:
  class Impl;
  explicit PointwiseReranker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace palate::ranking
