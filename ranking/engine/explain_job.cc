#include "ranking/engine/explain_job.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "ranking/explain/evidence_words.h"
#include "ranking/explain/explanation_templates.h"
#include "ranking/explain/template_explainer.h"
#include "ranking/preferences.h"
#include "ranking/prompt.h"

namespace palate::ranking {
namespace {

constexpr char kNothingToSay[] = "there was nothing for the model to say";
constexpr char kOutOfTime[] = "the deadline passed before the model's text was ready";

// Whether the text of a token is certainly a whole word or punctuation.
bool EndsWord(const std::string& piece) {
  if (piece.empty()) return false;
  if (piece[0] == ' ')
    return IsPlainWord(absl::AsciiStrToLower(absl::string_view(piece).substr(1)));
  return absl::ascii_ispunct(static_cast<unsigned char>(piece[0]));
}

// The slots for which the plan has values.
std::vector<SpecialToken> SlotsOf(const ExplanationPlan& plan) {
  std::vector<SpecialToken> slots;
  if (plan.name_sayable) slots.push_back(SpecialToken::kName);
  for (size_t i = 0; i < plan.points.size(); ++i) slots.push_back(ValueSlot(static_cast<int>(i)));
  for (size_t i = 0; i < plan.events.size(); ++i) slots.push_back(TitleSlot(static_cast<int>(i)));
  return slots;
}

}  // namespace

bool StreamText(const std::string& text, size_t input_index, const OnTextFn& on_text) {
  bool first = true;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (!on_text(input_index, absl::StrCat(first ? "" : " ", word))) return false;
    first = false;
  }
  return true;
}

absl::StatusOr<std::shared_ptr<ExplainJob>> ExplainJob::Create(
    const std::vector<ExplainInput>& inputs, const LoadedModel& loaded,
    const EngineOptions& options, CostMeter& step_cost, ExplainCounts& counts) {
  std::shared_ptr<ExplainJob> job(new ExplainJob(loaded, options, step_cost, counts));
  job->texts_.reserve(inputs.size());
  for (const ExplainInput& input : inputs) {
    Text text;
    text.input = input;
    text.plan = MakePlan(input, Summarize(input.history));
    text.slots = SlotsOf(text.plan);
    PALATE_ASSIGN_OR_RETURN(text.prompt, loaded.encoder->Encode(BuildExplainPrompt(text.plan)));

    const size_t index = job->texts_.size();
    const bool asked = HasSomethingToSay(text.plan);
    job->texts_.push_back(std::move(text));
    job->texts_.back().checker = std::make_unique<const EvidenceChecker>(job->texts_.back().plan);
    if (asked) {
      job->waiting_.push_back(index);
    } else {
      job->Deliver(
          index, job->TemplateFor(job->texts_[index], TemplateCause::kNothingToSay, kNothingToSay));
    }
  }
  return job;
}

bool ExplainJob::Step() {
  if (abandoned_) return false;
  const absl::Status advanced = Advance();
  if (!advanced.ok()) {
    MutexLock lock(mutex_);
    status_ = advanced;
    changed_.Signal();
    return false;
  }
  return wave_ != nullptr || !waiting_.empty();
}

absl::Status ExplainJob::Advance() {
  if (wave_ == nullptr) return waiting_.empty() ? absl::OkStatus() : StartWave();
  const absl::Time began = absl::Now();
  PALATE_ASSIGN_OR_RETURN(const std::vector<DecodedText> finished, wave_->Step());
  step_cost_.Add(1, absl::Now() - began);
  for (const DecodedText& decoded : finished) Judge(decoded);
  if (wave_->done()) wave_ = nullptr;
  return absl::OkStatus();
}

absl::Status ExplainJob::StartWave() {
  std::vector<DecodeRequest> requests;
  while (!waiting_.empty() && requests.size() < options_.max_decode_batch) {
    const size_t index = waiting_.front();
    waiting_.pop_front();
    Text& text = texts_[index];
    const auto admits = [this, &text](const std::vector<int64_t>& ids) {
      return Admits(*text.checker, ids);
    };
    requests.push_back(
        {index, text.prompt, text.slots, ExplanationSeed(text.input, text.attempts++), admits});
  }

  const DecodeOptions options{.max_new_tokens = options_.max_new_tokens,
                              .temperature = options_.temperature};
  PALATE_ASSIGN_OR_RETURN(wave_, DecodeWave::Start(loaded_, std::move(requests), options));
  return absl::OkStatus();
}

bool ExplainJob::Admits(const EvidenceChecker& checker, const std::vector<int64_t>& ids) const {
  const PromptEncoder& encoder = *loaded_.encoder;
  const bool ends = ids.back() == encoder.Id(SpecialToken::kEnd);

  // A token that may be the start of a longer word is checked together with that word.
  if (!encoder.IsSpecial(ids.back())) {
    const absl::StatusOr<std::vector<Segment>> last = encoder.Decode({ids.back()});
    if (!last.ok() || !EndsWord(last->front().text)) return true;
  }

  const absl::StatusOr<std::vector<Segment>> text =
      encoder.Decode(absl::MakeSpan(ids).first(ids.size() - (ends ? 1 : 0)));
  if (!text.ok()) return true;
  return ends ? checker.Check(*text).accepted : checker.RefuseBeginning(*text).empty();
}

void ExplainJob::Judge(const DecodedText& decoded) {
  Text& text = texts_[decoded.key];
  EvidenceVerdict verdict;
  const absl::StatusOr<std::vector<Segment>> segments = loaded_.encoder->Decode(decoded.ids);

  if (decoded.end == DecodedText::End::kTooLong) {
    verdict.reason =
        absl::StrCat("the text does not end within ", options_.max_new_tokens, " tokens");
  } else if (decoded.end == DecodedText::End::kStuck) {
    verdict.reason = "no further word would have kept the text true";
  } else if (!segments.ok()) {
    verdict.reason = std::string(segments.status().message());
  } else {
    verdict = text.checker->Check(*segments);
  }

  if (verdict.accepted) {
    counts_.accepted.fetch_add(1, std::memory_order_relaxed);
    Deliver(decoded.key, {std::move(verdict.text), ExplanationSource::kLlm,
                          std::move(verdict.evidence), "", loaded_.fingerprint});
    return;
  }

  counts_.refused.fetch_add(1, std::memory_order_relaxed);
  if (text.attempts < options_.max_attempts) {
    waiting_.push_back(decoded.key);
  } else {
    Deliver(decoded.key, TemplateFor(text, TemplateCause::kRefused, std::move(verdict.reason)));
  }
}

Explanation ExplainJob::TemplateFor(const Text& text, TemplateCause cause,
                                    std::string reason) const {
  Explanation explanation = ExplainWithTemplate(text.input, text.plan);
  explanation.cause = cause;
  explanation.rejected_reason = std::move(reason);
  explanation.model_fingerprint = loaded_.fingerprint;
  return explanation;
}

void ExplainJob::Deliver(size_t index, Explanation explanation) {
  MutexLock lock(mutex_);
  Text& text = texts_[index];
  if (text.ready) return;  // GiveUpOnTheRest came first
  if (explanation.source == ExplanationSource::kTemplate)
    counts_.templates.fetch_add(1, std::memory_order_relaxed);

  text.explanation = std::move(explanation);
  text.ready = true;
  finished_.push_back(index);
  changed_.Signal();
}

std::vector<size_t> ExplainJob::WaitForFinished(absl::Duration timeout) {
  MutexLock lock(mutex_);
  if (finished_.empty() && status_.ok() && waits_) changed_.WaitFor(mutex_, timeout);
  num_returned_ += finished_.size();
  return std::exchange(finished_, {});
}

void ExplainJob::StopWaiting() {
  MutexLock lock(mutex_);
  waits_ = false;
  changed_.Signal();
}

std::vector<size_t> ExplainJob::GiveUpOnTheRest() {
  abandoned_ = true;
  for (size_t i = 0; i < texts_.size(); ++i) {
    // Deliver() ignores inputs that are ready.
    Deliver(i, TemplateFor(texts_[i], TemplateCause::kOutOfTime, kOutOfTime));
  }
  MutexLock lock(mutex_);
  num_returned_ += finished_.size();
  return std::exchange(finished_, {});
}

bool ExplainJob::AllDelivered() const {
  MutexLock lock(mutex_);
  return num_returned_ == texts_.size() || !status_.ok();
}

absl::Status ExplainJob::status() const {
  MutexLock lock(mutex_);
  return status_;
}

std::vector<Explanation> ExplainJob::TakeExplanations() {
  std::vector<Explanation> explanations;
  explanations.reserve(texts_.size());
  for (Text& text : texts_) explanations.push_back(std::move(text.explanation));
  return explanations;
}

}  // namespace palate::ranking
