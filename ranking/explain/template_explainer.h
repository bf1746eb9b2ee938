// Explanations without a model: the TEMPLATE mode, and what stands in where the model's text is
// refused.
//
// Pure functions, thread-safe, some microseconds per item.
#pragma once

#include "ranking/explain/explanation_plan.h"
#include "ranking/preferences.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

// Deterministic: the same input gives the same text; different items get different wordings. The
// evidence is what the text cites. Languages other than English are answered in English.
Explanation ExplainWithTemplate(const ExplainInput& input, const SummaryOptions& options = {});

// The same from a plan that is already made (MakePlan of `input`).
Explanation ExplainWithTemplate(const ExplainInput& input, const ExplanationPlan& plan);

}  // namespace palate::ranking
