// Computes the log-odds of candidates from label logits. Internal to ranking/engine.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "ranking/engine/loaded_model.h"
#include "ranking/engine/prompt_encoder.h"

namespace palate::ranking {

// One score per candidate, in order. The prefix is computed once; candidates are computed after its
// keys and values, side by side, in groups of at most `max_forward_tokens` tokens. Calls
// `keep_going` between groups; if it returns false, the result is Cancelled. Thread-safe.
absl::StatusOr<std::vector<float>> ScoreCandidates(const LoadedModel& loaded,
                                                   const EncodedRankPrompt& prompt,
                                                   int64_t max_forward_tokens,
                                                   const std::function<bool()>& keep_going);

}  // namespace palate::ranking
