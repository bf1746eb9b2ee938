#include "ranking/ranker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "ranking/template_explainer.h"

namespace palate::ranking {
namespace {

constexpr char kNoModel[] = "no language model is configured";

std::vector<Explanation> ExplainWithoutModel(const std::vector<ExplainInput>& inputs) {
  std::vector<Explanation> explanations;
  for (const ExplainInput& input : inputs) {
    explanations.push_back(ExplainWithTemplate(input));
    explanations.back().rejected_reason = kNoModel;
  }
  return explanations;
}

}  // namespace

Ranker::~Ranker() = default;

absl::StatusOr<std::unique_ptr<Ranker>> Ranker::Create(const RankerConfig& config) {
  std::unique_ptr<Ranker> ranker(new Ranker());
  for (size_t i = 0; i < config.models.size(); ++i) {
    const RankerConfig::Model& model = config.models[i];
    const std::string field = absl::StrCat("models[", i, "].name");
    if (model.name.empty()) return InvalidField(field, "is empty", "at least 1 character");
    for (const Loaded& loaded : ranker->models_) {
      if (loaded.name == model.name) return InvalidField(field, absl::StrCat("is '", model.name, "' again"), "each name once");
    }
    absl::StatusOr<std::unique_ptr<LlmEngine>> engine = LlmEngine::Load(model.folder, config.engine);
    if (!engine.ok()) return Annotate(engine.status(), "language model '", model.name, "'");
    ranker->models_.push_back({model.name, *std::move(engine)});
  }
  ranker->default_model_ = config.default_model;
  if (config.default_model.empty() && !config.models.empty()) ranker->default_model_ = config.models[0].name;
  std::sort(ranker->models_.begin(), ranker->models_.end(), [](const Loaded& a, const Loaded& b) { return a.name < b.name; });
  if (!ranker->default_model_.empty() && !ranker->Find(ranker->default_model_).ok()) {
    return InvalidField("default_model", absl::StrCat("is '", config.default_model, "'"), "one of the configured names");
  }
  return ranker;
}

absl::StatusOr<LlmEngine*> Ranker::Find(const std::string& model) const {
  if (models_.empty() && model.empty()) return absl::FailedPreconditionError(kNoModel);
  const std::string& name = model.empty() ? default_model_ : model;
  for (const Loaded& loaded : models_) {
    if (loaded.name == name) return loaded.engine.get();
  }
  return absl::NotFoundError(absl::StrCat("no language model is named '", name, "'"));
}

absl::StatusOr<RankOutput> Ranker::Rank(const RankInput& input, absl::Time deadline, const CancelledFn& cancelled) const {
  PALATE_ASSIGN_OR_RETURN(LlmEngine* const engine, Find(input.model));
  return engine->Rank(input, deadline, cancelled);
}

absl::StatusOr<std::vector<Explanation>> Ranker::Explain(const std::vector<ExplainInput>& inputs, const OnTextFn& on_text,
                                                         absl::Time deadline, const CancelledFn& cancelled) const {
  if (inputs.empty()) return std::vector<Explanation>();
  for (size_t i = 1; i < inputs.size(); ++i) {
    if (inputs[i].model == inputs[0].model) continue;
    return InvalidField(absl::StrCat("inputs[", i, "].model"), absl::StrCat("is '", inputs[i].model, "'"),
                        absl::StrCat("'", inputs[0].model, "', that of the first input"));
  }
  if (models_.empty() && inputs[0].model.empty()) {
    std::vector<Explanation> explanations = ExplainWithoutModel(inputs);
    for (size_t i = 0; i < explanations.size() && on_text != nullptr; ++i) {
      if (!on_text(i, explanations[i].text)) return absl::CancelledError("the caller stopped the stream");
    }
    return explanations;
  }
  PALATE_ASSIGN_OR_RETURN(LlmEngine* const engine, Find(inputs[0].model));
  return engine->Explain(inputs, on_text, deadline, cancelled);
}

std::vector<RankerModelInfo> Ranker::models() const {
  std::vector<RankerModelInfo> infos;
  for (const Loaded& loaded : models_) {
    infos.push_back({loaded.name, loaded.name == default_model_, loaded.engine->fingerprint(), loaded.engine->max_prompt_tokens()});
  }
  return infos;
}

absl::StatusOr<EngineStats> Ranker::stats(const std::string& model) const {
  PALATE_ASSIGN_OR_RETURN(LlmEngine* const engine, Find(model));
  return engine->stats();
}

absl::Status Ranker::Health() const {
  for (const Loaded& loaded : models_) {
    const absl::Status health = loaded.engine->Health();
    if (!health.ok()) return Annotate(health, "language model '", loaded.name, "'");
  }
  return absl::OkStatus();
}

}  // namespace palate::ranking
