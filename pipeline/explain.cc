#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "pipeline/recommend_stages.h"
#include "ranking/explain/template_explainer.h"

namespace palate::pipeline {
namespace {

// The weight of the catalog's strongest event type, which scales popularity; 0 if none is positive.
double StrongestWeight(const Catalog& catalog) {
  double strongest = 0;
  for (const EventTypeDeclaration& type : catalog.event_types)
    strongest = std::max(strongest, type.weight);
  return strongest;
}

// What the candidate's sources say of the item: their names, and the figures behind them.
void AddReasons(const Candidate& candidate, double strongest_weight, ranking::ExplainInput& input) {
  for (const Reason& reason : candidate.reasons) {
    const std::string name = SourceName(reason.source);
    if (std::find(input.reasons.begin(), input.reasons.end(), name) == input.reasons.end())
      input.reasons.push_back(name);
    if (reason.source == Source::kTrending && strongest_weight > 0)
      input.popularity = reason.score / strongest_weight;
    if (reason.source == Source::kContent)
      input.close_item_ids.insert(input.close_item_ids.end(), reason.item_ids.begin(),
                                  reason.item_ids.end());
  }
}

std::vector<ranking::ExplainInput> InputsOf(const RequestState& state,
                                            const PipelineOptions& options) {
  const std::vector<ranking::HistoryEntry> history = HistoryForRanking(state, options.max_events);

  const double strongest_weight = StrongestWeight(state.context.catalog);

  std::vector<ranking::ExplainInput> inputs;
  for (const Candidate& candidate : state.candidates) {
    ranking::ExplainInput input;
    input.history = history;
    input.item = FactsOf(candidate.record.item);
    AddReasons(candidate, strongest_weight, input);
    if (candidate.record.item.create_time.has_value())
      input.age = state.now - *candidate.record.item.create_time;
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

const char* WordsOf(ranking::TemplateCause cause) {
  switch (cause) {
    case ranking::TemplateCause::kNoModel:
      return "no configured model writes";
    case ranking::TemplateCause::kNothingToSay:
      return "there is nothing for the model to say";
    case ranking::TemplateCause::kOutOfTime:
      return "the deadline passed first";
    case ranking::TemplateCause::kRefused:
      return "the model's texts failed the evidence check";
    case ranking::TemplateCause::kNone:
      break;
  }
  return "the ranker did not say why";
}

// How many of the texts are templates, and why; empty if none is.
std::string CausesOf(const std::vector<ranking::Explanation>& explanations) {
  std::map<ranking::TemplateCause, int> counts;
  for (const ranking::Explanation& explanation : explanations) {
    if (explanation.source == ranking::ExplanationSource::kTemplate) ++counts[explanation.cause];
  }

  std::vector<std::string> causes;
  for (const auto& [cause, count] : counts)
    causes.push_back(
        absl::StrCat(count, " of ", explanations.size(), " texts are templates: ", WordsOf(cause)));
  return absl::StrJoin(causes, "; ");
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

  const std::string causes = CausesOf(*explanations);
  for (size_t i = 0; i < head; ++i) state.candidates[i].explanation = std::move((*explanations)[i]);

  if (!causes.empty()) state.Degrade(Degradation::kTemplateFallback, causes);
  if (inputs.size() > head) {
    state.Degrade(Degradation::kTemplateFallback,
                  absl::StrCat(inputs.size() - head, " results lie beyond the limit of ",
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
