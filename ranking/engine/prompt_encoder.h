// Converts prompts to token ids and generated ids to segments, with the tokenizer of a model
// folder. Shared by serving and evaluation; no LibTorch.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto encoder, PromptEncoder::Create(tokenizer));
//   const RankPrompt prompt = BuildRankPrompt(input, Summarize(input.history), {},
//                                             encoder->Counter());
//   PALATE_ASSIGN_OR_RETURN(const EncodedRankPrompt encoded, encoder->Encode(prompt));
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "models/text/tokenizer.h"
#include "ranking/prompt.h"
#include "ranking/special_tokens.h"

namespace palate::ranking {

// A RankPrompt as token ids. Every candidate ends in the label slot.
struct EncodedRankPrompt {
  std::vector<int64_t> prefix;
  std::vector<std::vector<int64_t>> candidates;

  int64_t num_tokens() const;
};

// Thread-safe. Text is data: special tokens spelled in it are encoded as ordinary characters.
class PromptEncoder {
 public:
  // FailedPrecondition naming the special token that the tokenizer lacks.
  static absl::StatusOr<std::unique_ptr<PromptEncoder>> Create(
      std::shared_ptr<const models::Tokenizer> tokenizer);

  absl::StatusOr<std::vector<int64_t>> Encode(const std::vector<Segment>& segments) const;
  absl::StatusOr<EncodedRankPrompt> Encode(const RankPrompt& prompt) const;
  // Converts generated ids to text and slots. InvalidArgument for an id outside the vocabulary.
  absl::StatusOr<std::vector<Segment>> Decode(absl::Span<const int64_t> ids) const;

  int64_t Id(SpecialToken token) const { return special_ids_[static_cast<size_t>(token)]; }
  // Whether the id is that of a token of special_tokens.h.
  bool IsSpecial(int64_t id) const;
  int64_t vocab_size() const { return tokenizer_->vocab_size(); }
  // Counts tokens like Encode. Borrows this encoder.
  TokenCounter Counter() const;

 private:
  explicit PromptEncoder(std::shared_ptr<const models::Tokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)) {}
  // Appends the ids of `text`. Short texts recur in every prompt, so their ids are cached.
  absl::Status AppendText(const std::string& text, std::vector<int64_t>& ids) const
      ABSL_LOCKS_EXCLUDED(mutex_);

  const std::shared_ptr<const models::Tokenizer> tokenizer_;
  std::vector<int64_t> special_ids_;  // by SpecialToken
  mutable Mutex mutex_;
  mutable absl::flat_hash_map<std::string, std::vector<int64_t>> words_
      ABSL_GUARDED_BY(mutex_);  // at most kMaxRememberedTexts
};

}  // namespace palate::ranking
