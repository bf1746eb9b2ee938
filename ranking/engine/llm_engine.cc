#include "ranking/engine/llm_engine.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "ranking/engine/cost_meter.h"
#include "ranking/engine/executor.h"
#include "ranking/engine/explain_job.h"
#include "ranking/engine/loaded_model.h"
#include "ranking/engine/scorer.h"
#include "ranking/preferences.h"
#include "ranking/template_explainer.h"

namespace palate::ranking {
namespace {

// How often a waiting caller asks whether it still wants the answer.
constexpr absl::Duration kPollInterval = absl::Milliseconds(10);
// Kept back from a deadline for putting templates in the place of unfinished texts.
constexpr absl::Duration kTemplateReserve = absl::Milliseconds(5);
// Tokens of a usual explanation, for the estimate of its cost.
constexpr double kUsualTextTokens = 28;

absl::Status TooLate(absl::Duration needed, absl::Duration remaining) {
  return absl::DeadlineExceededError(absl::StrCat("the model needs about ",
                                                  absl::FormatDuration(absl::Trunc(needed, absl::Microseconds(1))), ", the caller has ",
                                                  absl::FormatDuration(absl::Trunc(remaining, absl::Microseconds(1)))));
}

// The prompt style's budgets, shortened where the model has fewer positions.
PromptOptions FitPrompt(const LoadedModel& loaded) {
  PromptOptions options;
  const int positions = static_cast<int>(std::min<int64_t>(loaded.model->config().max_positions, 1 << 20));
  options.max_prefix_tokens = std::min(options.max_prefix_tokens, positions - options.max_item_tokens);
  return options;
}

// The scores of one request, handed from the executor to the waiting caller.
struct RankJob {
  EncodedRankPrompt prompt;
  std::atomic<bool> abandoned = false;
  Mutex mutex;
  CondVar changed;
  bool done ABSL_GUARDED_BY(mutex) = false;
  absl::StatusOr<std::vector<float>> scores ABSL_GUARDED_BY(mutex) = absl::InternalError("not computed");
};

}  // namespace

class LlmEngine::Impl {
 public:
  Impl(LoadedModel loaded, const EngineOptions& options)
      : loaded_(std::move(loaded)),
        options_(options),
        prompt_options_(FitPrompt(loaded_)),
        executor_("llm", {.max_scoring_tasks = options.max_queued_rankings, .max_decoding_tasks = options.max_queued_explanations}) {}

  absl::Status WarmUp();
  absl::StatusOr<RankOutput> Rank(const RankInput& input, absl::Time deadline, const CancelledFn& cancelled);
  absl::StatusOr<std::vector<Explanation>> Explain(const std::vector<ExplainInput>& inputs, const OnTextFn& on_text, absl::Time deadline,
                                                   const CancelledFn& cancelled);
  EngineStats stats() const;
  absl::Status Health() const;
  const LoadedModel& loaded() const { return loaded_; }

 private:
  absl::StatusOr<std::vector<float>> Score(EncodedRankPrompt prompt, absl::Time deadline, const CancelledFn& cancelled);
  void RunRanking(RankJob& job);
  absl::Status Admit(const absl::Status& submitted);
  absl::Status Collect(ExplainJob& job, const OnTextFn& on_text, absl::Time deadline, const CancelledFn& cancelled);

  const LoadedModel loaded_;
  const EngineOptions options_;
  const PromptOptions prompt_options_;
  CostMeter rank_cost_;                   // per token
  CostMeter decode_cost_;                 // per step
  std::atomic<int64_t> rank_backlog_{0};  // tokens that wait or run
  ExplainCounts explain_counts_;
  std::atomic<int64_t> rankings_{0}, explanations_{0}, refused_for_overload_{0}, refused_for_deadline_{0};
  ModelExecutor executor_;  // last: its thread uses all of the above
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
  // The first run touches the weights and fills caches; the second one tells the price.
  for (int i = 0; i < 2; ++i) {
    PALATE_ASSIGN_OR_RETURN(
        const EncodedRankPrompt prompt,
        loaded_.encoder->Encode(BuildRankPrompt(input, Summarize(input.history), prompt_options_, loaded_.encoder->Counter())));
    const absl::Time began = absl::Now();
    PALATE_RETURN_IF_ERROR(ScoreCandidates(loaded_, prompt, options_.max_forward_tokens, [] { return true; }).status());
    if (i == 1) rank_cost_.Add(static_cast<double>(prompt.num_tokens()), absl::Now() - began);
  }
  return absl::OkStatus();
}

absl::StatusOr<RankOutput> LlmEngine::Impl::Rank(const RankInput& input, absl::Time deadline, const CancelledFn& cancelled) {
  rankings_.fetch_add(1, std::memory_order_relaxed);
  const RankPrompt prompt = BuildRankPrompt(input, Summarize(input.history), prompt_options_, loaded_.encoder->Counter());
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
  if (input.candidates.empty()) return output;
  PALATE_ASSIGN_OR_RETURN(output.scores, Score(std::move(encoded), deadline, cancelled));
  return output;
}

absl::StatusOr<std::vector<float>> LlmEngine::Impl::Score(EncodedRankPrompt prompt, absl::Time deadline, const CancelledFn& cancelled) {
  const int64_t tokens = prompt.num_tokens();
  const absl::Duration needed = rank_cost_.Estimate(static_cast<double>(rank_backlog_.load(std::memory_order_relaxed) + tokens));
  const absl::Duration remaining = deadline - absl::Now();
  if (needed > remaining) {
    refused_for_deadline_.fetch_add(1, std::memory_order_relaxed);
    return TooLate(needed, remaining);
  }
  const auto job = std::make_shared<RankJob>();
  job->prompt = std::move(prompt);
  rank_backlog_.fetch_add(tokens, std::memory_order_relaxed);
  const absl::Status submitted = executor_.Submit(Lane::kScoring, [this, job, tokens] {
    RunRanking(*job);
    rank_backlog_.fetch_sub(tokens, std::memory_order_relaxed);
    return false;
  });
  if (!submitted.ok()) {
    rank_backlog_.fetch_sub(tokens, std::memory_order_relaxed);
    return Admit(submitted);
  }
  while (true) {
    const bool unwanted = cancelled != nullptr && cancelled();
    const absl::Duration left = deadline - absl::Now();
    MutexLock lock(job->mutex);
    if (job->done) return std::move(job->scores);
    if (unwanted || left <= absl::ZeroDuration()) {
      job->abandoned = true;
      if (unwanted) return absl::CancelledError("the caller no longer waits for the scores");
      refused_for_deadline_.fetch_add(1, std::memory_order_relaxed);
      return absl::DeadlineExceededError("the deadline passed while the candidates were being scored");
    }
    job->changed.WaitFor(job->mutex, cancelled == nullptr ? left : std::min(left, kPollInterval));
  }
}

void LlmEngine::Impl::RunRanking(RankJob& job) {
  if (job.abandoned) return;
  const absl::Time began = absl::Now();
  absl::StatusOr<std::vector<float>> scores =
      ScoreCandidates(loaded_, job.prompt, options_.max_forward_tokens, [&job] { return !job.abandoned; });
  if (scores.ok()) rank_cost_.Add(static_cast<double>(job.prompt.num_tokens()), absl::Now() - began);
  MutexLock lock(job.mutex);
  job.scores = std::move(scores);
  job.done = true;
  job.changed.Signal();
}

// Counts a refusal for overload.
absl::Status LlmEngine::Impl::Admit(const absl::Status& submitted) {
  if (absl::IsResourceExhausted(submitted)) refused_for_overload_.fetch_add(1, std::memory_order_relaxed);
  return submitted;
}

absl::StatusOr<std::vector<Explanation>> LlmEngine::Impl::Explain(const std::vector<ExplainInput>& inputs, const OnTextFn& on_text,
                                                                  absl::Time deadline, const CancelledFn& cancelled) {
  if (inputs.empty()) return std::vector<Explanation>();
  explanations_.fetch_add(static_cast<int64_t>(inputs.size()), std::memory_order_relaxed);
  const double waves = static_cast<double>((inputs.size() - 1) / options_.max_decode_batch + 1);
  const double ahead = static_cast<double>(executor_.waiting(Lane::kDecoding));
  const absl::Duration needed = decode_cost_.Estimate(kUsualTextTokens * waves * (1 + ahead));
  const absl::Duration remaining = deadline - absl::Now() - kTemplateReserve;
  if (needed > remaining) {
    refused_for_deadline_.fetch_add(1, std::memory_order_relaxed);
    return TooLate(needed, remaining);
  }
  PALATE_ASSIGN_OR_RETURN(const std::shared_ptr<ExplainJob> job,
                          ExplainJob::Create(inputs, loaded_, options_, decode_cost_, explain_counts_));
  PALATE_RETURN_IF_ERROR(Admit(executor_.Submit(Lane::kDecoding, [job] { return job->Step(); })));
  PALATE_RETURN_IF_ERROR(Collect(*job, on_text, deadline, cancelled));
  return job->TakeExplanations();
}

// Waits for explanations and streams them as they are accepted, from this thread.
absl::Status LlmEngine::Impl::Collect(ExplainJob& job, const OnTextFn& on_text, absl::Time deadline, const CancelledFn& cancelled) {
  while (true) {
    const absl::Duration left = deadline - kTemplateReserve - absl::Now();
    const absl::Duration wait = cancelled == nullptr ? left : std::min(left, kPollInterval);
    const std::vector<size_t> finished = left > absl::ZeroDuration() ? job.WaitForFinished(wait) : job.GiveUpOnTheRest();
    for (const size_t index : finished) {
      if (on_text != nullptr && !StreamText(job.explanation(index).text, index, on_text)) {
        job.Abandon();
        return absl::CancelledError("the caller stopped the stream");
      }
    }
    if (job.AllDelivered()) return job.status();
    if (cancelled != nullptr && cancelled()) {
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
  stats.refused_for_overload = refused_for_overload_;
  stats.refused_for_deadline = refused_for_deadline_;
  stats.queued_rankings = executor_.waiting(Lane::kScoring);
  stats.queued_explanations = executor_.waiting(Lane::kDecoding);
  stats.seconds_per_rank_token = rank_cost_.seconds_per_unit();
  stats.seconds_per_decode_step = decode_cost_.seconds_per_unit();
  return stats;
}

absl::Status LlmEngine::Impl::Health() const {
  const absl::Duration running = executor_.RunningFor();
  if (running <= options_.stuck_after) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the model has been busy with one step for ", absl::FormatDuration(running)));
}

absl::StatusOr<std::unique_ptr<LlmEngine>> LlmEngine::Load(const std::string& folder, const EngineOptions& options) {
  if (options.intra_op_threads > 0) at::set_num_threads(options.intra_op_threads);
  PALATE_ASSIGN_OR_RETURN(LoadedModel loaded, LoadedModel::Load(folder));
  auto impl = std::make_unique<Impl>(std::move(loaded), options);
  PALATE_RETURN_IF_ERROR(impl->WarmUp());
  return std::unique_ptr<LlmEngine>(new LlmEngine(std::move(impl)));
}

LlmEngine::LlmEngine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LlmEngine::~LlmEngine() = default;

absl::StatusOr<RankOutput> LlmEngine::Rank(const RankInput& input, absl::Time deadline, const CancelledFn& cancelled) {
  return impl_->Rank(input, deadline, cancelled);
}

absl::StatusOr<std::vector<Explanation>> LlmEngine::Explain(const std::vector<ExplainInput>& inputs, const OnTextFn& on_text,
                                                            absl::Time deadline, const CancelledFn& cancelled) {
  return impl_->Explain(inputs, on_text, deadline, cancelled);
}

const std::string& LlmEngine::fingerprint() const { return impl_->loaded().fingerprint; }
int LlmEngine::max_prompt_tokens() const { return static_cast<int>(impl_->loaded().model->config().max_positions); }
EngineStats LlmEngine::stats() const { return impl_->stats(); }
absl::Status LlmEngine::Health() const { return impl_->Health(); }

}  // namespace palate::ranking
