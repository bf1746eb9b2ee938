#include "ranking/engine/llm_engine.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "ranking/engine/cost_meter.h"
#include "ranking/engine/explain_job.h"
#include "ranking/engine/llm_executor.h"
#include "ranking/engine/loaded_model.h"
#include "ranking/engine/score_queue.h"
#include "ranking/engine/scorer.h"
#include "ranking/explain/template_explainer.h"
#include "ranking/preferences.h"

namespace palate::ranking {
namespace {

// Time reserved before a deadline to replace unfinished texts by templates.
constexpr absl::Duration kTemplateReserve = absl::Milliseconds(5);
// Tokens of a typical explanation, to estimate its cost.
constexpr double kUsualTextTokens = 28;

// The budgets of the prompt style, reduced if the model has fewer positions.
PromptOptions FitPrompt(const LoadedModel& loaded) {
  PromptOptions options;
  const int positions =
      static_cast<int>(std::min<int64_t>(loaded.model->config().max_positions, 1 << 20));
  options.max_prefix_tokens =
      std::min(options.max_prefix_tokens, positions - options.max_item_tokens);
  return options;
}

}  // namespace

class LlmEngine::Impl {
 public:
  Impl(LoadedModel loaded, const EngineOptions& options)
      : loaded_(std::move(loaded)),
        options_(options),
        prompt_options_(FitPrompt(loaded_)),
        rankings_queue_(executor_),
        executor_("llm", {.max_scoring_tasks = options.max_queued_rankings,
                          .max_decoding_tasks = options.max_queued_explanations}) {}

  absl::Status WarmUp();
  absl::StatusOr<RankOutput> Rank(const RankInput& input, const CallContext& context);
  absl::StatusOr<std::vector<Explanation>> Explain(const std::vector<ExplainInput>& inputs,
                                                   const OnTextFn& on_text,
                                                   const CallContext& context);
  EngineStats stats() const;
  absl::Status Health() const;
  const LoadedModel& loaded() const { return loaded_; }

 private:
  absl::StatusOr<std::vector<float>> Score(EncodedRankPrompt prompt, const CallContext& context);
  // Admits the job, which asks for at least one text, and gives it to the executor.
  absl::Status Submit(const std::shared_ptr<ExplainJob>& job, const CallContext& context);
  absl::Status Collect(ExplainJob& job, const OnTextFn& on_text, const CallContext& context);

  const LoadedModel loaded_;
  const EngineOptions options_;
  const PromptOptions prompt_options_;
  ScoreQueue rankings_queue_;
  CostMeter decode_cost_;  // per step
  ExplainCounts explain_counts_;
  std::atomic<int64_t> rankings_{0}, explanations_{0};
  std::atomic<int64_t> refused_for_overload_{0}, refused_for_deadline_{0};  // of explanations
  ModelExecutor executor_;  // last, because its thread uses the other members
};

absl::Status LlmEngine::Impl::WarmUp() {
  RankInput input;
  ItemFacts item;
  item.attributes["material"] = std::string("walnut");
  for (int i = 0; i < 8; ++i) {
    item.item_id = absl::StrCat(i);
    input.history.push_back({item, "like", 1.0, absl::UnixEpoch()});
    input.candidates.push_back(item);
  }

  PALATE_ASSIGN_OR_RETURN(
      const EncodedRankPrompt prompt,
      loaded_.encoder->Encode(BuildRankPrompt(input, Summarize(input.history), prompt_options_,
                                              loaded_.encoder->Counter())));
  return rankings_queue_.MeasureWarmUps([&]() -> absl::StatusOr<int64_t> {
    PALATE_RETURN_IF_ERROR(ScoreCandidates(loaded_, prompt, options_.max_forward_tokens, [] {
                             return true;
                           }).status());
    return prompt.num_tokens();
  });
}

absl::StatusOr<RankOutput> LlmEngine::Impl::Rank(const RankInput& input,
                                                 const CallContext& context) {
  rankings_.fetch_add(1, std::memory_order_relaxed);
  if (!input.documents.empty())
    return InvalidField("documents", "are given", "none: the model ranks candidates for a history");

  const RankPrompt prompt =
      BuildRankPrompt(input, Summarize(input.history), prompt_options_, loaded_.encoder->Counter());
  PALATE_ASSIGN_OR_RETURN(EncodedRankPrompt encoded, loaded_.encoder->Encode(prompt));
  const int64_t tokens = encoded.num_tokens();
  if (tokens > options_.max_rank_tokens) {
    return InvalidField("candidates", absl::StrCat("make a prompt of ", tokens, " tokens"),
                        absl::StrCat("at most ", options_.max_rank_tokens));
  }

  RankOutput output;
  output.model_fingerprint = loaded_.fingerprint;
  output.prompt_tokens = static_cast<int>(tokens);
  output.truncated_history = prompt.truncated_history;
  if (!input.instruction.empty()) output.unused_fields.push_back("instruction");
  if (input.query.has_value()) output.unused_fields.push_back("query");
  if (input.candidates.empty()) return output;
  PALATE_ASSIGN_OR_RETURN(output.scores, Score(std::move(encoded), context));

  for (size_t i = 0; i < output.scores.size(); ++i) {
    if (std::isfinite(output.scores[i])) continue;
    output.scores[i] = std::numeric_limits<float>::quiet_NaN();
    output.failures.push_back(
        {i, absl::InternalError("the model computed a score that is not finite")});
  }
  return output;
}

absl::StatusOr<std::vector<float>> LlmEngine::Impl::Score(EncodedRankPrompt prompt,
                                                          const CallContext& context) {
  struct Work {
    EncodedRankPrompt prompt;
    std::vector<float> scores;
  };
  const auto work = std::make_shared<Work>(Work{std::move(prompt), {}});

  const ScoreQueue::Step step =
      [this, work](const std::function<bool()>& wanted) -> absl::StatusOr<bool> {
    PALATE_ASSIGN_OR_RETURN(
        work->scores, ScoreCandidates(loaded_, work->prompt, options_.max_forward_tokens, wanted));
    return false;
  };
  PALATE_RETURN_IF_ERROR(rankings_queue_.Run(work->prompt.num_tokens(), step, context));
  return std::move(work->scores);
}

absl::StatusOr<std::vector<Explanation>> LlmEngine::Impl::Explain(
    const std::vector<ExplainInput>& inputs, const OnTextFn& on_text, const CallContext& context) {
  if (inputs.empty()) return std::vector<Explanation>();
  explanations_.fetch_add(static_cast<int64_t>(inputs.size()), std::memory_order_relaxed);

  PALATE_ASSIGN_OR_RETURN(
      const std::shared_ptr<ExplainJob> job,
      ExplainJob::Create(inputs, loaded_, options_, decode_cost_, explain_counts_));
  if (job->num_asked() > 0) PALATE_RETURN_IF_ERROR(Submit(job, context));
  PALATE_RETURN_IF_ERROR(Collect(*job, on_text, context));
  return job->TakeExplanations();
}

absl::Status LlmEngine::Impl::Submit(const std::shared_ptr<ExplainJob>& job,
                                     const CallContext& context) {
  const size_t waves = (job->num_asked() - 1) / options_.max_decode_batch + 1;
  const double ahead = static_cast<double>(executor_.waiting(Lane::kDecoding));
  const double steps = kUsualTextTokens * static_cast<double>(waves);
  const absl::Status admitted = decode_cost_.Admit(
      {.ahead = steps * ahead, .units = steps}, context.deadline - absl::Now() - kTemplateReserve);
  if (!admitted.ok()) {
    refused_for_deadline_.fetch_add(1, std::memory_order_relaxed);
    return admitted;
  }

  const absl::Status submitted = executor_.Submit(Lane::kDecoding, [job] { return job->Step(); });
  if (absl::IsResourceExhausted(submitted))
    refused_for_overload_.fetch_add(1, std::memory_order_relaxed);
  return submitted;
}

// Waits for explanations and streams them from this thread as they become ready.
absl::Status LlmEngine::Impl::Collect(ExplainJob& job, const OnTextFn& on_text,
                                      const CallContext& context) {
  const CancelRegistration wake = context.OnCancel([&job] { job.StopWaiting(); });
  while (true) {
    const absl::Duration left = context.deadline - kTemplateReserve - absl::Now();
    const std::vector<size_t> finished =
        left > absl::ZeroDuration() ? job.WaitForFinished(left) : job.GiveUpOnTheRest();
    for (const size_t index : finished) {
      if (on_text != nullptr && !StreamText(job.explanation(index).text, index, on_text)) {
        job.Abandon();
        return absl::CancelledError("the caller stopped the stream");
      }
    }

    if (job.AllDelivered()) return job.status();
    if (context.cancelled()) {
      job.Abandon();
      return absl::CancelledError("the caller no longer waits for the explanations");
    }
  }
}

EngineStats LlmEngine::Impl::stats() const {
  EngineStats stats;
  stats.rankings = rankings_;
  stats.explanations = explanations_;
  stats.accepted_texts = explain_counts_.accepted;
  stats.refused_texts = explain_counts_.refused;
  stats.template_explanations = explain_counts_.templates;
  stats.refused_for_overload = refused_for_overload_ + rankings_queue_.refused_for_overload();
  stats.refused_for_deadline = refused_for_deadline_ + rankings_queue_.refused_for_deadline();
  stats.queued_rankings = executor_.waiting(Lane::kScoring);
  stats.queued_explanations = executor_.waiting(Lane::kDecoding);
  stats.seconds_per_rank_token = rankings_queue_.seconds_per_token();
  stats.seconds_per_decode_step = decode_cost_.seconds_per_unit();
  return stats;
}

absl::Status LlmEngine::Impl::Health() const {
  const absl::Duration running = executor_.RunningFor();
  if (running <= options_.stuck_after) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the model is stuck: it has made no progress for ",
                                             absl::FormatDuration(running),
                                             " (ranking.stuck_after_ms)"));
}

absl::StatusOr<std::unique_ptr<LlmEngine>> LlmEngine::Load(const std::string& folder,
                                                           const EngineOptions& options) {
  if (options.intra_op_threads > 0) at::set_num_threads(options.intra_op_threads);
  PALATE_ASSIGN_OR_RETURN(LoadedModel loaded, LoadedModel::Load(folder));
  auto impl = std::make_unique<Impl>(std::move(loaded), options);
  PALATE_RETURN_IF_ERROR(impl->WarmUp());
  return std::unique_ptr<LlmEngine>(new LlmEngine(std::move(impl)));
}

LlmEngine::LlmEngine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LlmEngine::~LlmEngine() = default;

absl::StatusOr<RankOutput> LlmEngine::Rank(const RankInput& input, const CallContext& context) {
  return impl_->Rank(input, context);
}

absl::StatusOr<std::vector<Explanation>> LlmEngine::Explain(const std::vector<ExplainInput>& inputs,
                                                            const OnTextFn& on_text,
                                                            const CallContext& context) {
  return impl_->Explain(inputs, on_text, context);
}

const std::string& LlmEngine::fingerprint() const { return impl_->loaded().fingerprint; }
int LlmEngine::max_prompt_tokens() const {
  return static_cast<int>(impl_->loaded().model->config().max_positions);
}
EngineStats LlmEngine::stats() const { return impl_->stats(); }
absl::Status LlmEngine::Health() const { return impl_->Health(); }

}  // namespace palate::ranking
