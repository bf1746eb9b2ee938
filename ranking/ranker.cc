#include "ranking/ranker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "ranking/explain/template_explainer.h"

namespace palate::ranking {
namespace {

constexpr char kNoModel[] = "no language model is configured";
constexpr char kNoWriter[] = "no language model that writes explanations is configured";

absl::string_view NameOf(RankMode mode) {
  return mode == RankMode::kPointwise ? "pointwise" : "listwise";
}

std::vector<Explanation> ExplainWithoutModel(const std::vector<ExplainInput>& inputs,
                                             const std::string& reason) {
  std::vector<Explanation> explanations;
  for (const ExplainInput& input : inputs) {
    explanations.push_back(ExplainWithTemplate(input));
    explanations.back().cause = TemplateCause::kNoModel;
    explanations.back().rejected_reason = reason;
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
      if (loaded.name == model.name)
        return InvalidField(field, absl::StrCat("duplicates '", model.name, "'"), "unique");
    }

    absl::StatusOr<OpenedModel> opened =
        OpenRankingModel(model.folder, model.mode, config.engine, config.reranker);
    if (!opened.ok()) return Annotate(opened.status(), "language model '", model.name, "'");
    ranker->models_.push_back({model.name, *std::move(opened)});
  }

  ranker->default_model_ = config.default_model;
  if (config.default_model.empty() && !config.models.empty())
    ranker->default_model_ = config.models[0].name;
  std::sort(ranker->models_.begin(), ranker->models_.end(),
            [](const Loaded& a, const Loaded& b) { return a.name < b.name; });
  if (!ranker->default_model_.empty() && !ranker->Find(ranker->default_model_).ok()) {
    return InvalidField("default_model", absl::StrCat("is '", config.default_model, "'"),
                        "one of the configured names");
  }
  return ranker;
}

absl::StatusOr<const OpenedModel*> Ranker::Find(const std::string& model) const {
  if (models_.empty() && model.empty()) return absl::FailedPreconditionError(kNoModel);
  const std::string& name = model.empty() ? default_model_ : model;
  for (const Loaded& loaded : models_) {
    if (loaded.name == name) return &loaded.opened;
  }
  return absl::NotFoundError(absl::StrCat("no language model is named '", name, "'"));
}

absl::StatusOr<LlmEngine*> Ranker::FindWriter(const std::string& model) const {
  if (models_.empty() && model.empty()) return nullptr;
  PALATE_ASSIGN_OR_RETURN(const OpenedModel* const named, Find(model));
  if (named->writer != nullptr) return named->writer;
  if (!model.empty())
    return InvalidField("model", absl::StrCat("is '", model, "', which only scores"),
                        "a model that writes explanations");

  for (const Loaded& loaded : models_) {
    if (loaded.opened.writer != nullptr) return loaded.opened.writer;
  }
  return nullptr;
}

absl::StatusOr<RankOutput> Ranker::Rank(const RankInput& input, const CallContext& context) const {
  PALATE_ASSIGN_OR_RETURN(const OpenedModel* const opened, Find(input.model));
  if (input.mode != RankMode::kOfModel && input.mode != opened->model->mode()) {
    return InvalidField("mode", absl::StrCat("is ", NameOf(input.mode)),
                        absl::StrCat(NameOf(opened->model->mode()), ", the model's"));
  }
  return opened->model->Rank(input, context);
}

absl::StatusOr<std::vector<Explanation>> Ranker::Explain(const std::vector<ExplainInput>& inputs,
                                                         const OnTextFn& on_text,
                                                         const CallContext& context) const {
  if (inputs.empty()) return std::vector<Explanation>();
  for (size_t i = 1; i < inputs.size(); ++i) {
    if (inputs[i].model == inputs[0].model) continue;
    return InvalidField(absl::StrCat("inputs[", i, "].model"),
                        absl::StrCat("is '", inputs[i].model, "'"),
                        absl::StrCat("'", inputs[0].model, "', that of the first input"));
  }

  PALATE_ASSIGN_OR_RETURN(LlmEngine* const writer, FindWriter(inputs[0].model));
  if (writer == nullptr) {
    std::vector<Explanation> explanations =
        ExplainWithoutModel(inputs, models_.empty() ? kNoModel : kNoWriter);
    for (size_t i = 0; i < explanations.size() && on_text != nullptr; ++i) {
      if (!on_text(i, explanations[i].text))
        return absl::CancelledError("the caller stopped the stream");
    }
    return explanations;
  }
  return writer->Explain(inputs, on_text, context);
}

std::vector<RankerModelInfo> Ranker::models() const {
  std::vector<RankerModelInfo> infos;
  for (const Loaded& loaded : models_) {
    const RankingModel& model = *loaded.opened.model;
    infos.push_back({loaded.name, loaded.name == default_model_, model.fingerprint(),
                     model.max_prompt_tokens(), model.mode(), model.reads_images()});
  }
  return infos;
}

absl::StatusOr<EngineStats> Ranker::stats(const std::string& model) const {
  PALATE_ASSIGN_OR_RETURN(const OpenedModel* const opened, Find(model));
  return opened->model->stats();
}

absl::Status Ranker::Health() const {
  for (const Loaded& loaded : models_) {
    const absl::Status health = loaded.opened.model->Health();
    if (!health.ok()) return Annotate(health, "language model '", loaded.name, "'");
  }
  return absl::OkStatus();
}

}  // namespace palate::ranking
