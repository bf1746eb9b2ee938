#include "ranking/engine/prompt_encoder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace palate::ranking {
namespace {

constexpr size_t kMaxRememberedTexts = 50000;
constexpr size_t kMaxRememberedBytes = 64;  // per text; longer ones rarely recur

}  // namespace

int64_t EncodedRankPrompt::num_tokens() const {
  size_t tokens = prefix.size();
  for (const std::vector<int64_t>& candidate : candidates) tokens += candidate.size();
  return static_cast<int64_t>(tokens);
}

absl::StatusOr<std::unique_ptr<PromptEncoder>> PromptEncoder::Create(
    std::shared_ptr<const models::Tokenizer> tokenizer) {
  std::unique_ptr<PromptEncoder> encoder(new PromptEncoder(std::move(tokenizer)));
  for (const std::string& text : SpecialTokenTexts()) {
    const std::optional<int64_t> id = encoder->tokenizer_->TokenToId(text);
    if (!id.has_value())
      return absl::FailedPreconditionError(absl::StrCat("the tokenizer has no token ", text));
    encoder->special_ids_.push_back(*id);
  }
  return encoder;
}

absl::Status PromptEncoder::AppendText(const std::string& text, std::vector<int64_t>& ids) const {
  {
    MutexLock lock(mutex_);
    if (const auto found = words_.find(text); found != words_.end()) {
      ids.insert(ids.end(), found->second.begin(), found->second.end());
      return absl::OkStatus();
    }
  }

  PALATE_ASSIGN_OR_RETURN(
      models::EncodedText encoded,
      tokenizer_->Encode(
          text, {.add_special_tokens = false, .parse_special_tokens = false, .max_tokens = 0}));
  ids.insert(ids.end(), encoded.ids.begin(), encoded.ids.end());

  if (text.size() > kMaxRememberedBytes) return absl::OkStatus();
  MutexLock lock(mutex_);
  if (words_.size() >= kMaxRememberedTexts) words_.clear();
  words_[text] = std::move(encoded.ids);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int64_t>> PromptEncoder::Encode(
    const std::vector<Segment>& segments) const {
  std::vector<int64_t> ids;
  for (const Segment& segment : segments) {
    if (segment.kind == Segment::Kind::kText) {
      PALATE_RETURN_IF_ERROR(AppendText(segment.text, ids));
      continue;
    }

    const std::vector<std::string>& texts = SpecialTokenTexts();
    const auto found = std::find(texts.begin(), texts.end(), segment.text);
    if (found == texts.end())
      return absl::InvalidArgumentError(absl::StrCat(segment.text, " is not a special token"));
    ids.push_back(special_ids_[static_cast<size_t>(found - texts.begin())]);
  }
  return ids;
}

absl::StatusOr<EncodedRankPrompt> PromptEncoder::Encode(const RankPrompt& prompt) const {
  EncodedRankPrompt encoded;
  PALATE_ASSIGN_OR_RETURN(encoded.prefix, Encode(prompt.prefix));
  encoded.candidates.reserve(prompt.candidates.size());
  for (const std::vector<Segment>& candidate : prompt.candidates) {
    PALATE_ASSIGN_OR_RETURN(std::vector<int64_t> ids, Encode(candidate));
    encoded.candidates.push_back(std::move(ids));
  }
  return encoded;
}

bool PromptEncoder::IsSpecial(int64_t id) const {
  return std::find(special_ids_.begin(), special_ids_.end(), id) != special_ids_.end();
}

absl::StatusOr<std::vector<Segment>> PromptEncoder::Decode(absl::Span<const int64_t> ids) const {
  std::vector<Segment> segments;
  std::vector<int64_t> words;
  const auto flush = [&]() -> absl::Status {
    if (words.empty()) return absl::OkStatus();
    PALATE_ASSIGN_OR_RETURN(std::string text,
                            tokenizer_->Decode(words, /*skip_special_tokens=*/true));
    segments.push_back(Segment::Text(std::move(text)));
    words.clear();
    return absl::OkStatus();
  };

  for (const int64_t id : ids) {
    if (id < 0 || id >= vocab_size())
      return absl::InvalidArgumentError(absl::StrCat("token ", id, " is not in the vocabulary"));
    const auto special = std::find(special_ids_.begin(), special_ids_.end(), id);
    if (special == special_ids_.end()) {
      words.push_back(id);
      continue;
    }
    PALATE_RETURN_IF_ERROR(flush());
    segments.push_back(Segment::Special(static_cast<SpecialToken>(special - special_ids_.begin())));
  }

  PALATE_RETURN_IF_ERROR(flush());
  return segments;
}

TokenCounter PromptEncoder::Counter() const {
  return [this](const std::string& text) {
    std::vector<int64_t> ids;
    // Text that is not UTF-8 cannot be encoded. Encode returns the error; here an estimate of the
    // length suffices.
    return AppendText(text, ids).ok() ? static_cast<int>(ids.size()) : EstimateTokens(text);
  };
}

}  // namespace palate::ranking
