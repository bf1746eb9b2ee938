// Helpers that the checks of language models share.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/causal_lm/causal_lm.h"
#include "offline/golden/json_node.h"
#include "offline/golden/report.h"

namespace palate::golden {

using TokenLists = std::vector<std::vector<int64_t>>;

// Sequences without images.
std::vector<models::LmSequence> TextSequences(const TokenLists& ids);

// Encodes the prompts with the special tokens that the tokenizer adds.
absl::StatusOr<TokenLists> EncodePrompts(const models::Tokenizer& tokenizer,
                                         const std::vector<std::string>& prompts);

// Hidden states after the last norm, one tensor [length, hidden] per sequence, computed as one
// batch.
std::vector<at::Tensor> HiddenStates(const models::CausalLm& model,
                                     const std::vector<models::LmSequence>& sequences);

// Adds one check: the sequences' states computed together equal those computed one by one.
void CompareBatchWithSingles(Report& report, const models::CausalLm& model,
                             const std::vector<models::LmSequence>& sequences);

// Adds the checks of one greedy continuation: the ids with the key-value cache, the ids of a
// forward pass without it, and the decoded text. `answer` holds new_ids and min_top2_gap, and
// optionally greedy_reliable and text.
absl::Status CompareGreedy(Report& report, const std::string& what, const models::CausalLm& model,
                           const models::LmSequence& prompt, int64_t new_tokens,
                           const JsonNode& answer);

}  // namespace palate::golden
