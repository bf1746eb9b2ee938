// A grammar of English explanations over an ExplanationPlan. Its sentences are the template
// explanations and the training targets of the language model.
//
// Usage:
//   const std::vector<Segment> text = WriteExplanation(plan, ExplanationSeed(input));
//   PALATE_ASSIGN_OR_RETURN(const std::string filled, FillSlots(plan, text));
//
// A sentence is a list of segments in which slots (kName, kValue1 …, kTitle1 …) represent the
// plan's facts. Every sentence is true by construction: frequency words appear only if enough
// events support them, interactions as they happened, "popular" only if the item comes from the
// trending source. Pure functions, thread-safe; the same plan and seed give the same text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ranking/explain/explanation_plan.h"
#include "ranking/prompt.h"

namespace palate::ranking {

// An explanation of one or two sentences with slots, without <|end|>. Different seeds give
// different wordings; a trainer draws many.
std::vector<Segment> WriteExplanation(const ExplanationPlan& plan, uint64_t seed);

// The text with the plan's facts in its slots. InvalidArgument for a slot that the plan does not
// fill and for any other special token. The first letter is upper-cased, and spaces before a slot
// are normalized.
absl::StatusOr<std::string> FillSlots(const ExplanationPlan& plan,
                                      const std::vector<Segment>& text);

// A seed that is stable across processes: a function of the explained item, the user's newest event
// and `attempt`.
uint64_t ExplanationSeed(const ExplainInput& input, int attempt = 0);

}  // namespace palate::ranking
