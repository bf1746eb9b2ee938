// A loaded model that scores candidates, whatever its kind. Thread-safe; owns its executor.
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

// The file that makes a folder a language model of ours: {"prompt_style": …}.
inline constexpr char kPalateFile[] = "palate.json";

// Counts since loading; monotone but for the queues.
struct EngineStats {
  int64_t rankings = 0;
  int64_t explanations = 0;           // asked for
  int64_t accepted_texts = 0;         // the model's own, after the check
  int64_t refused_texts = 0;          // drawn texts that the check refused, each attempt
  int64_t template_explanations = 0;  // explanations that ended as the template
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

  // One score per candidate or document, in order. Blocks until the answer or the deadline;
  // refusals as in score_queue.h. InvalidArgument naming what this kind of model does not take.
  virtual absl::StatusOr<RankOutput> Rank(const RankInput& input, const CallContext& context) = 0;

  // kListwise or kPointwise.
  virtual RankMode mode() const = 0;
  virtual bool reads_images() const = 0;
  // Names everything that decides about scores: 16 hex digits.
  virtual const std::string& fingerprint() const = 0;
  // Longest prompt: for one candidate, or of one pair.
  virtual int max_prompt_tokens() const = 0;
  virtual EngineStats stats() const = 0;
  // Unavailable when one step has been running for too long.
  virtual absl::Status Health() const = 0;
};

}  // namespace palate::ranking
