// Interface of a loaded model that scores candidates. Implementations are thread-safe and own their
// executor.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/call_context.h"
#include "ranking/engine/score_queue.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

// The file that marks a folder as a language model with a prompt style: {"prompt_style": …}.
inline constexpr char kPalateFile[] = "palate.json";

// Counters since loading, and the current queue lengths and averages.
struct EngineStats {
  int64_t rankings = 0;
  int64_t explanations = 0;           // requested
  int64_t accepted_texts = 0;         // texts of the model that the check accepted
  int64_t refused_texts = 0;          // drawn texts that were refused, counting every attempt
  int64_t template_explanations = 0;  // explanations that fell back to the template
  int64_t refused_for_overload = 0;
  int64_t refused_for_deadline = 0;
  size_t queued_rankings = 0;
  size_t queued_explanations = 0;
  double seconds_per_rank_token = 0;   // moving average
  double seconds_per_decode_step = 0;  // moving average
};

class RankingModel {
 public:
  virtual ~RankingModel() = default;

  // One score per candidate or document, in order. Blocks until the result or the deadline;
  // score_queue.h defines the refusals. InvalidArgument names a field that this kind of model does
  // not support.
  virtual absl::StatusOr<RankOutput> Rank(const RankInput& input, const CallContext& context) = 0;

  // kListwise or kPointwise.
  virtual RankMode mode() const = 0;
  virtual bool reads_images() const = 0;
  // Identifies everything that scores depend on: 16 hex digits.
  virtual const std::string& fingerprint() const = 0;
  // The longest prompt of one candidate, or the longest pair, in tokens.
  virtual int max_prompt_tokens() const = 0;
  virtual EngineStats stats() const = 0;
  // Unavailable while a step has been running for too long.
  virtual absl::Status Health() const = 0;
};

}  // namespace palate::ranking
