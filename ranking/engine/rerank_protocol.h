// Encodes the prompts of the published Qwen rerankers: an instruction, a query and a document as
// token ids, identical to their reference code. The score of a pair is sigmoid(logit("yes") -
// logit("no")) after the last token. Without LibTorch.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(
//       const auto protocol, RerankProtocol::Create(tokenizer, RerankStyle::kText, max_positions));
//   RerankPair pair;
//   pair.instruction = DefaultInstruction(RerankStyle::kText);
//   pair.query = "a walnut chair";
//   pair.document = "A chair of solid walnut.";
//   PALATE_ASSIGN_OR_RETURN(const EncodedPair encoded, protocol->Encode(pair));
//
// Text, Qwen3-Reranker (the transformers code of its model card; its other snippets use other
// separators and give other rankings):
//
//   <|im_start|>system\n{judge}<|im_end|>\n<|im_start|>user\n
//   <Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}
//   <|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n
//
// The first and the last line are reserved. The line between them is encoded as one text, with the
// special tokens that the tokenizer adds to a text, and is truncated at its end if the pair would
// exceed max_tokens (8,192 at most).
//
// Vision, Qwen3-VL-Reranker (line breaks are for reading only; the prompt has only those written
// \n):
//
//   <|im_start|>system\n{judge}<|im_end|>\n
//   <|im_start|>user\n<Instruct>: {instruction}<Query>:{media}{query}\n
//   <Document>:{media}{document}<|im_end|>\n
//   <|im_start|>assistant\n
//
// A media item is <|vision_start|>, one <|image_pad|> per merged patch, <|vision_end|>, and
// precedes the text. A query or document with neither text nor media is the text NULL. If all but
// the last 5 tokens exceed max_tokens (10,240 at most), ordinary tokens are dropped from their end
// and special tokens are kept; the last 5 tokens follow.
//
// Control tokens spelled in an instruction, query or document are encoded as ordinary characters,
// so that a document cannot end its turn or add image placeholders. The reference encodes them as
// control tokens; for text without them the ids are equal. Added tokens that the vocabulary does
// not mark as special ("<think>") are encoded as in the reference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/text/tokenizer.h"

namespace palate::ranking {

enum class RerankStyle { kText, kVision };

// The instruction of requests that have none.
absl::string_view DefaultInstruction(RerankStyle style);

// Views are borrowed for the call.
struct RerankPair {
  absl::string_view instruction;
  absl::string_view query;
  absl::string_view document;
  // Merged patches per image, in order; only for kVision.
  absl::Span<const int64_t> query_images;
  absl::Span<const int64_t> document_images;
};

struct EncodedPair {
  std::vector<int64_t> ids;
  size_t truncated_tokens = 0;  // dropped to keep the limit
};

// Immutable; thread-safe.
class RerankProtocol {
 public:
  // Pairs have at most `max_positions` tokens, or the limit of the style if that is less.
  // FailedPrecondition names a token that the tokenizer lacks: "yes" and "no" must be single
  // tokens, and the special tokens of the prompt must exist. InvalidArgument if the limit leaves no
  // room for a text.
  static absl::StatusOr<std::unique_ptr<RerankProtocol>> Create(
      std::shared_ptr<const models::Tokenizer> tokenizer, RerankStyle style, int64_t max_positions);

  // InvalidArgument if a text is not UTF-8. A kVision pair may exceed the limit by its special
  // tokens, images included.
  absl::StatusOr<EncodedPair> Encode(const RerankPair& pair) const;

  RerankStyle style() const { return style_; }
  int64_t max_tokens() const { return max_tokens_; }
  int64_t yes_id() const { return yes_id_; }
  int64_t no_id() const { return no_id_; }
  // Identifies the protocol in fingerprints.
  std::string Description() const;

 private:
  RerankProtocol(std::shared_ptr<const models::Tokenizer> tokenizer, RerankStyle style,
                 int64_t max_tokens)
      : tokenizer_(std::move(tokenizer)), style_(style), max_tokens_(max_tokens) {}
  absl::Status ReadTokens();
  absl::StatusOr<EncodedPair> EncodeTextPair(const RerankPair& pair) const;
  absl::StatusOr<EncodedPair> EncodeVisionPair(const RerankPair& pair) const;
  absl::Status AppendData(absl::string_view text, std::vector<int64_t>& ids) const;
  // Truncates a kVision pair; returns how many tokens were dropped.
  absl::StatusOr<size_t> DropOrdinaryTokens(std::vector<int64_t>& ids) const;
  absl::StatusOr<bool> IsSpecial(int64_t id) const;

  const std::shared_ptr<const models::Tokenizer> tokenizer_;
  const RerankStyle style_;
  const int64_t max_tokens_;
  int64_t yes_id_ = 0;
  int64_t no_id_ = 0;
  std::vector<int64_t> head_;  // kText: the reserved ids before and after the body
  std::vector<int64_t> tail_;
  int64_t turn_start_ = 0;  // kVision
  int64_t turn_end_ = 0;
  int64_t vision_start_ = 0;
  int64_t vision_end_ = 0;
  int64_t image_pad_ = 0;
  std::vector<int64_t> added_before_;  // kVision: what the tokenizer adds around a text
  std::vector<int64_t> added_after_;
};

}  // namespace palate::ranking
