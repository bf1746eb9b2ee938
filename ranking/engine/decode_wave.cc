#include "ranking/engine/decode_wave.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "models/torch_status.h"
#include "ranking/special_tokens.h"

namespace palate::ranking {
namespace {

// Draws at one position before the text is abandoned: after so many refusals the model hardly
// writes an admissible text.
constexpr int kMaxDraws = 16;
// Tokens below this share of the likeliest token's probability are never drawn. The tail of a small
// model's distribution is noise: where the likely tokens are refused, it gives texts that are true
// but make no sense.
constexpr double kMinLikelihood = 0.05;

}  // namespace

absl::StatusOr<std::unique_ptr<DecodeWave>> DecodeWave::Start(const LoadedModel& loaded,
                                                              std::vector<DecodeRequest> requests,
                                                              const DecodeOptions& options) {
  std::unique_ptr<DecodeWave> wave(new DecodeWave(loaded, options));
  const absl::Status begun = models::CatchTorch([&] { wave->Begin(std::move(requests)); });
  if (!begun.ok()) return begun;
  return wave;
}

void DecodeWave::Begin(std::vector<DecodeRequest> requests) {
  const c10::InferenceMode inference;
  // Prompts of equal length are computed as one batch, now and in every later step.
  std::stable_sort(requests.begin(), requests.end(),
                   [](const DecodeRequest& a, const DecodeRequest& b) {
                     return a.prompt.size() < b.prompt.size();
                   });

  const PromptEncoder& encoder = *loaded_.encoder;
  std::vector<bool> words(static_cast<size_t>(encoder.vocab_size()), true);
  for (size_t token = 0; token < SpecialTokenTexts().size(); ++token) {
    words[static_cast<size_t>(encoder.Id(static_cast<SpecialToken>(token)))] = false;
  }
  words[static_cast<size_t>(encoder.Id(SpecialToken::kEnd))] = true;

  std::vector<std::vector<int64_t>> prompts;
  for (DecodeRequest& request : requests) {
    prompts.push_back(request.prompt);
    Sequence sequence{std::move(request), {}, words, {}};
    for (const SpecialToken slot : sequence.request.slots)
      sequence.allowed[static_cast<size_t>(encoder.Id(slot))] = true;
    sequence.random.seed(sequence.request.seed);
    sequences_.push_back(std::move(sequence));
  }

  const models::PackedTokens tokens = models::PackTokens(prompts);
  const int64_t capacity = tokens.lengths.back() + options_.max_new_tokens;
  cache_ = loaded_.model->NewCache(static_cast<int64_t>(prompts.size()), capacity);
  std::vector<int64_t> ends(tokens.lengths.size());
  std::partial_sum(tokens.lengths.begin(), tokens.lengths.end(), ends.begin());
  for (int64_t& end : ends) --end;
  hidden_ = loaded_.model->Forward(tokens, cache_).index_select(0, at::tensor(ends, at::kLong));
}

absl::StatusOr<std::vector<DecodedText>> DecodeWave::Step() {
  return models::CatchTorch([&] { return Advance(); });
}

std::vector<DecodedText> DecodeWave::Advance() {
  const c10::InferenceMode inference;
  const at::Tensor logits = loaded_.model->Logits(hidden_).to(at::kFloat).contiguous();
  const int64_t vocabulary = logits.size(1);
  const int64_t end = loaded_.encoder->Id(SpecialToken::kEnd);

  std::vector<DecodedText> finished;
  std::vector<Sequence> remaining;
  std::vector<int64_t> rows;
  std::vector<std::vector<int64_t>> next;
  for (size_t i = 0; i < sequences_.size(); ++i) {
    Sequence& sequence = sequences_[i];
    const std::optional<int64_t> token =
        Draw(logits.data_ptr<float>() + static_cast<int64_t>(i) * vocabulary, sequence);
    const bool goes_on = token.has_value() && *token != end;
    if (goes_on) sequence.ids.push_back(*token);
    if (!goes_on || static_cast<int>(sequence.ids.size()) >= options_.max_new_tokens) {
      const DecodedText::End why =
          goes_on ? DecodedText::End::kTooLong
                  : (token.has_value() ? DecodedText::End::kComplete : DecodedText::End::kStuck);
      finished.push_back({sequence.request.key, std::move(sequence.ids), why});
      continue;
    }

    rows.push_back(static_cast<int64_t>(i));
    next.push_back({*token});
    remaining.push_back(std::move(sequence));
  }

  if (!finished.empty() && !rows.empty()) cache_ = cache_.Select(rows);
  sequences_ = std::move(remaining);
  if (!sequences_.empty()) hidden_ = loaded_.model->Forward(models::PackTokens(next), cache_);
  return finished;
}

std::optional<int64_t> DecodeWave::Draw(const float* logits, Sequence& sequence) const {
  std::vector<bool> allowed = sequence.allowed;
  float likeliest = -std::numeric_limits<float>::infinity();
  for (size_t id = 0; id < allowed.size(); ++id) {
    if (allowed[id]) likeliest = std::max(likeliest, logits[id]);
  }
  const double floor = likeliest + std::log(kMinLikelihood);
  for (size_t id = 0; id < allowed.size(); ++id) allowed[id] = allowed[id] && logits[id] >= floor;

  const auto& admits = sequence.request.admits;
  std::vector<int64_t> text = sequence.ids;
  text.push_back(0);
  for (int draw = 0; draw < kMaxDraws; ++draw) {
    if (std::find(allowed.begin(), allowed.end(), true) == allowed.end()) return std::nullopt;
    text.back() = DrawOnce(logits, allowed, sequence);
    if (admits == nullptr || admits(text)) return text.back();
    allowed[static_cast<size_t>(text.back())] = false;
  }
  return std::nullopt;
}

int64_t DecodeWave::DrawOnce(const float* logits, const std::vector<bool>& allowed,
                             Sequence& sequence) const {
  int64_t best = -1;
  for (size_t id = 0; id < allowed.size(); ++id) {
    if (allowed[id] && (best < 0 || logits[id] > logits[best])) best = static_cast<int64_t>(id);
  }
  if (options_.temperature <= 0) return best;

  // Relative to the best logit, so that nothing overflows.
  double total = 0;
  std::vector<double> weights(allowed.size(), 0.0);
  for (size_t id = 0; id < allowed.size(); ++id) {
    if (!allowed[id]) continue;
    weights[id] = std::exp((static_cast<double>(logits[id]) - logits[best]) / options_.temperature);
    total += weights[id];
  }

  // Uses 53 random bits, because std::discrete_distribution differs between platforms.
  double left = static_cast<double>(sequence.random() >> 11) * 0x1.0p-53 * total;
  for (size_t id = 0; id < weights.size(); ++id) {
    left -= weights[id];
    if (weights[id] > 0 && left < 0) return static_cast<int64_t>(id);
  }
  return best;
}

}  // namespace palate::ranking
