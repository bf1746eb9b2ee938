// Writes explanations without a model: for TEMPLATE mode, and in place of refused texts of a model.
//
// Usage:
//   const Explanation explanation = ExplainWithTemplate(input);
//
// Pure functions, thread-safe; a few microseconds per item.
#pragma once

#include "ranking/explain/explanation_plan.h"
#include "ranking/preferences.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

// Deterministic: the same input gives the same text; wordings vary between items. The evidence is
// what the text cites. Texts are in English whatever the language is.
Explanation ExplainWithTemplate(const ExplainInput& input, const SummaryOptions& options = {});

// The same for an existing plan, which must be MakePlan of `input`.
Explanation ExplainWithTemplate(const ExplainInput& input, const ExplanationPlan& plan);

}  // namespace palate::ranking
