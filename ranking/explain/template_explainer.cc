#include "ranking/explain/template_explainer.h"

#include <utility>

#include "ranking/explain/evidence_check.h"
#include "ranking/explain/explanation_templates.h"

namespace palate::ranking {

Explanation ExplainWithTemplate(const ExplainInput& input, const ExplanationPlan& plan) {
  EvidenceVerdict verdict =
      EvidenceChecker(plan).Check(WriteExplanation(plan, ExplanationSeed(input)));
  Explanation explanation;
  explanation.text = std::move(verdict.text);
  explanation.source = ExplanationSource::kTemplate;
  explanation.evidence = std::move(verdict.evidence);
  return explanation;
}

Explanation ExplainWithTemplate(const ExplainInput& input, const SummaryOptions& options) {
  return ExplainWithTemplate(input, MakePlan(input, Summarize(input.history, options)));
}

}  // namespace palate::ranking
