#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "pipeline/recommend_stages.h"
#include "ranking/explain/template_explainer.h"

namespace palate::pipeline {
namespace {

std::vector<ranking::ExplainInput> InputsOf(const RequestState& state,
                                            const PipelineOptions& options) {
  const std::vector<ranking::HistoryEntry> history = HistoryForRanking(state, options.max_events);

  std::vector<ranking::ExplainInput> inputs;
  for (const Candidate& candidate : state.candidates) {
    ranking::ExplainInput input;
    input.history = history;
    input.item = FactsOf(candidate.record.item);
    for (const Reason& reason : candidate.reasons) {
      const std::string name = SourceName(reason.source);
      if (std::find(input.reasons.begin(), input.reasons.end(), name) == input.reasons.end())
        input.reasons.push_back(name);
    }
    input.language = state.query.language;
    inputs.push_back(std::move(input));
  }
  return inputs;
}

// Whether explanations can be written in the language, a BCP 47 tag.
bool WritesIn(absl::string_view language) {
  const absl::string_view primary = language.substr(0, language.find('-'));
  return language.empty() || absl::EqualsIgnoreCase(primary, "en");
}

}  // namespace

void ExplainStage::ExplainWithModel(RequestState& state,
                                    const std::vector<ranking::ExplainInput>& inputs) const {
  const absl::Duration remaining = state.call.deadline - clock_.Now();
  if (remaining < options_.min_explain_time) {
    state.Degrade(Degradation::kDeadlineShort,
                  absl::StrCat(absl::FormatDuration(remaining), " left: template texts"));
    return;
  }

  const size_t head = std::min<size_t>(inputs.size(), options_.max_llm_explanations);
  const std::vector<ranking::ExplainInput> asked(inputs.begin(), inputs.begin() + head);
  absl::StatusOr<std::vector<ranking::Explanation>> explanations =
      ranker_.Explain(asked, on_text_, state.call);
  if (!explanations.ok() || explanations->size() != head) {
    const std::string detail =
        explanations.ok() ? "the ranker left results out" : explanations.status().ToString();
    state.Degrade(Degradation::kTemplateFallback,
                  absl::StrCat(head, " of ", head, " texts: ", detail));
    return;
  }

  size_t replaced = 0;
  std::string cause;
  for (size_t i = 0; i < head; ++i) {
    if ((*explanations)[i].source == ranking::ExplanationSource::kTemplate) {
      ++replaced;
      if (cause.empty()) cause = (*explanations)[i].rejected_reason;
    }
    state.candidates[i].explanation = std::move((*explanations)[i]);
  }

  if (replaced + (inputs.size() - head) > 0) {
    state.Degrade(Degradation::kTemplateFallback,
                  absl::StrCat(replaced, " of ", head, " texts are templates",
                               cause.empty() ? "" : absl::StrCat(" (the first: ", cause, ")"), "; ",
                               inputs.size() - head, " results lie beyond the limit of ",
                               options_.max_llm_explanations));
  }
}

absl::Status ExplainStage::Run(RequestState& state) const {
  if (state.query.explain == ExplainMode::kNone) {
    state.Skip(Degradation::kNotRequested, "explain is NONE");
    return absl::OkStatus();
  }
  if (state.candidates.empty()) {
    state.Skip(Degradation::kNoCandidates, "there are no results to explain");
    return absl::OkStatus();
  }

  if (!WritesIn(state.query.language)) {
    state.Note(Degradation::kInputNotUsed,
               absl::StrCat("language ", state.query.language, ": explanations are in English"));
  }

  const std::vector<ranking::ExplainInput> inputs = InputsOf(state, options_);
  if (state.query.explain == ExplainMode::kLlm) ExplainWithModel(state, inputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::optional<ranking::Explanation>& explanation = state.candidates[i].explanation;
    if (!explanation.has_value()) explanation = ranking::ExplainWithTemplate(inputs[i]);
  }
  return absl::OkStatus();
}

}  // namespace palate::pipeline
