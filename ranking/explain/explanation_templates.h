// A grammar of English explanations over an ExplanationPlan: what TEMPLATE mode says and what the
// language model is trained to write.
//
// A sentence is a list of segments in which slots (kName, kValue1.., kTitle1..) stand for the
// plan's facts. Every sentence of the grammar is true by construction: frequency words only where
// enough events support them, interactions as they happened, "popular" only where the trending
// source brought the item. Pure functions, thread-safe; the same plan and seed give the same text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ranking/explain/explanation_plan.h"
#include "ranking/prompt.h"

namespace palate::ranking {

// One explanation of one or two sentences with slots, without <|end|>. Different seeds give
// different wordings; a trainer draws many.
std::vector<Segment> WriteExplanation(const ExplanationPlan& plan, uint64_t seed);

// The text with the plan's facts in the slots. A slot that the plan does not fill is
// InvalidArgument, and so is any other special token. The first letter is upper-cased, spaces
// before punctuation are removed.
absl::StatusOr<std::string> FillSlots(const ExplanationPlan& plan,
                                      const std::vector<Segment>& text);

// A seed that is stable across processes, from the explained item, the user's newest event and
// `attempt`.
uint64_t ExplanationSeed(const ExplainInput& input, int attempt = 0);

// Upper bound of the number of tokens that a training target has, for decode limits: texts are at
// most 40 words.
inline constexpr int kMaxExplanationWords = 40;

}  // namespace palate::ranking
