#include "ranking/engine/rerank_protocol.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace palate::ranking {
namespace {

constexpr absl::string_view kJudge =
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    "provided. Note that the answer can only be "
    "\"yes\" or \"no\".";
constexpr absl::string_view kTextDefault =
    "Given a web search query, retrieve relevant passages that answer the query";
constexpr absl::string_view kVisionDefault =
    "Given a search query, retrieve relevant candidates that answer the query.";
constexpr absl::string_view kAbsentContent = "NULL";
constexpr absl::string_view kTextTail =
    "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";
constexpr int64_t kMaxTextTokens = 8192;
constexpr int64_t kMaxVisionTokens = 10240;
// Last tokens of a vision prompt that are never dropped: "<|im_end|>\n<|im_start|>assistant\n" in
// the published vocabulary.
constexpr size_t kKeptTokens = 5;

// For texts of the protocol, in which special tokens are parsed.
constexpr models::EncodeOptions kOurText = {
    .add_special_tokens = false, .parse_special_tokens = true, .max_tokens = 0};
constexpr models::EncodeOptions kData = {
    .add_special_tokens = false, .parse_special_tokens = false, .max_tokens = 0};

absl::StatusOr<int64_t> SpecialId(const models::Tokenizer& tokenizer, absl::string_view token) {
  const std::optional<int64_t> id = tokenizer.TokenToId(token);
  if (!id.has_value())
    return absl::FailedPreconditionError(absl::StrCat("the tokenizer has no token ", token));
  return *id;
}

// The id of an answer, which must be a single token because the score uses one logit.
absl::StatusOr<int64_t> AnswerId(const models::Tokenizer& tokenizer, absl::string_view answer) {
  PALATE_ASSIGN_OR_RETURN(const models::EncodedText encoded, tokenizer.Encode(answer, kData));
  if (encoded.ids.size() == 1 && tokenizer.TokenToId(answer) == encoded.ids[0])
    return encoded.ids[0];
  return absl::FailedPreconditionError(absl::StrCat("a reranker must answer '", answer,
                                                    "' with one token, but the tokenizer uses ",
                                                    encoded.ids.size()));
}

}  // namespace

absl::string_view DefaultInstruction(RerankStyle style) {
  return style == RerankStyle::kText ? kTextDefault : kVisionDefault;
}

absl::StatusOr<std::unique_ptr<RerankProtocol>> RerankProtocol::Create(
    std::shared_ptr<const models::Tokenizer> tokenizer, RerankStyle style, int64_t max_positions) {
  const int64_t limit =
      style == RerankStyle::kText
          ? std::min(kMaxTextTokens, max_positions)
          : std::min(kMaxVisionTokens, max_positions - static_cast<int64_t>(kKeptTokens));

  std::unique_ptr<RerankProtocol> protocol(new RerankProtocol(std::move(tokenizer), style, limit));
  PALATE_RETURN_IF_ERROR(protocol->ReadTokens());

  PALATE_ASSIGN_OR_RETURN(const EncodedPair shortest, protocol->Encode({}));
  if (static_cast<int64_t>(shortest.ids.size()) >= limit) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pairs may have ", limit, " tokens, but the prompt alone takes ", shortest.ids.size()));
  }
  return protocol;
}

absl::Status RerankProtocol::ReadTokens() {
  PALATE_ASSIGN_OR_RETURN(yes_id_, AnswerId(*tokenizer_, "yes"));
  PALATE_ASSIGN_OR_RETURN(no_id_, AnswerId(*tokenizer_, "no"));
  PALATE_ASSIGN_OR_RETURN(turn_start_, SpecialId(*tokenizer_, "<|im_start|>"));
  PALATE_ASSIGN_OR_RETURN(turn_end_, SpecialId(*tokenizer_, "<|im_end|>"));

  if (style_ == RerankStyle::kText) {
    const std::string head =
        absl::StrCat("<|im_start|>system\n", kJudge, "<|im_end|>\n<|im_start|>user\n");
    PALATE_ASSIGN_OR_RETURN(models::EncodedText encoded, tokenizer_->Encode(head, kOurText));
    head_ = std::move(encoded.ids);
    PALATE_ASSIGN_OR_RETURN(encoded, tokenizer_->Encode(kTextTail, kOurText));
    tail_ = std::move(encoded.ids);
    const size_t reserved = head_.size() + tail_.size() + tokenizer_->special_tokens_per_text();
    if (static_cast<int64_t>(reserved) < max_tokens_) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        "pairs may have ", max_tokens_, " tokens, but the prompt alone takes ", reserved));
  }

  PALATE_ASSIGN_OR_RETURN(vision_start_, SpecialId(*tokenizer_, "<|vision_start|>"));
  PALATE_ASSIGN_OR_RETURN(vision_end_, SpecialId(*tokenizer_, "<|vision_end|>"));
  PALATE_ASSIGN_OR_RETURN(image_pad_, SpecialId(*tokenizer_, "<|image_pad|>"));

  PALATE_ASSIGN_OR_RETURN(const models::EncodedText whole,
                          tokenizer_->Encode("yes", {.add_special_tokens = true}));
  const auto text = std::find(whole.ids.begin(), whole.ids.end(), yes_id_);
  if (text == whole.ids.end())
    return absl::FailedPreconditionError(
        "the tokenizer encodes a text differently when it adds special tokens");
  added_before_.assign(whole.ids.begin(), text);
  added_after_.assign(text + 1, whole.ids.end());
  return absl::OkStatus();
}

absl::StatusOr<EncodedPair> RerankProtocol::Encode(const RerankPair& pair) const {
  return style_ == RerankStyle::kText ? EncodeTextPair(pair) : EncodeVisionPair(pair);
}

absl::StatusOr<EncodedPair> RerankProtocol::EncodeTextPair(const RerankPair& pair) const {
  const std::string body = absl::StrCat("<Instruct>: ", pair.instruction, "\n<Query>: ", pair.query,
                                        "\n<Document>: ", pair.document);
  const size_t room = static_cast<size_t>(max_tokens_) - head_.size() - tail_.size();
  PALATE_ASSIGN_OR_RETURN(
      const models::EncodedText encoded,
      tokenizer_->Encode(
          body, {.add_special_tokens = true, .parse_special_tokens = false, .max_tokens = room}));

  EncodedPair out{head_, encoded.truncated_tokens};
  out.ids.insert(out.ids.end(), encoded.ids.begin(), encoded.ids.end());
  out.ids.insert(out.ids.end(), tail_.begin(), tail_.end());
  return out;
}

absl::Status RerankProtocol::AppendData(absl::string_view text, std::vector<int64_t>& ids) const {
  PALATE_ASSIGN_OR_RETURN(const models::EncodedText encoded, tokenizer_->Encode(text, kData));
  ids.insert(ids.end(), encoded.ids.begin(), encoded.ids.end());
  return absl::OkStatus();
}

// Encodes the text between two special tokens as one, like the reference does with the whole
// prompt.
absl::StatusOr<EncodedPair> RerankProtocol::EncodeVisionPair(const RerankPair& pair) const {
  EncodedPair out;
  std::vector<int64_t>& ids = out.ids;
  ids = added_before_;
  std::string text = absl::StrCat("system\n", kJudge);

  const auto flush_before = [&](int64_t special) -> absl::Status {
    if (!text.empty()) PALATE_RETURN_IF_ERROR(AppendData(text, ids));
    text.clear();
    ids.push_back(special);
    return absl::OkStatus();
  };
  const auto append_content = [&](absl::string_view content,
                                  absl::Span<const int64_t> images) -> absl::Status {
    for (const int64_t merged_patches : images) {
      PALATE_RETURN_IF_ERROR(flush_before(vision_start_));
      ids.insert(ids.end(), static_cast<size_t>(merged_patches), image_pad_);
      ids.push_back(vision_end_);
    }
    absl::StrAppend(&text, content.empty() && images.empty() ? kAbsentContent : content);
    return absl::OkStatus();
  };

  ids.push_back(turn_start_);
  PALATE_RETURN_IF_ERROR(flush_before(turn_end_));
  text = "\n";
  PALATE_RETURN_IF_ERROR(flush_before(turn_start_));
  text = absl::StrCat("user\n<Instruct>: ", pair.instruction, "<Query>:");
  PALATE_RETURN_IF_ERROR(append_content(pair.query, pair.query_images));
  absl::StrAppend(&text, "\n<Document>:");
  PALATE_RETURN_IF_ERROR(append_content(pair.document, pair.document_images));
  PALATE_RETURN_IF_ERROR(flush_before(turn_end_));
  text = "\n";
  PALATE_RETURN_IF_ERROR(flush_before(turn_start_));
  PALATE_RETURN_IF_ERROR(AppendData("assistant\n", ids));
  ids.insert(ids.end(), added_after_.begin(), added_after_.end());

  PALATE_ASSIGN_OR_RETURN(out.truncated_tokens, DropOrdinaryTokens(ids));
  return out;
}

absl::StatusOr<size_t> RerankProtocol::DropOrdinaryTokens(std::vector<int64_t>& ids) const {
  const size_t end = ids.size() - std::min(ids.size(), kKeptTokens);
  const size_t limit = static_cast<size_t>(max_tokens_);
  if (end <= limit) return size_t{0};

  absl::flat_hash_map<int64_t, bool> known;
  std::vector<bool> special(end);
  size_t num_special = 0;
  for (size_t i = 0; i < end; ++i) {
    const auto [found, added] = known.try_emplace(ids[i], false);
    if (added) {
      PALATE_ASSIGN_OR_RETURN(found->second, IsSpecial(ids[i]));
    }
    special[i] = found->second;
    if (special[i]) ++num_special;
  }

  size_t room = limit - std::min(limit, num_special);
  std::vector<int64_t> kept;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i < end && !special[i]) {
      if (room == 0) continue;
      --room;
    }
    kept.push_back(ids[i]);
  }

  const size_t dropped = ids.size() - kept.size();
  ids = std::move(kept);
  return dropped;
}

// Decoding with skip_special_tokens omits exactly the tokens that the vocabulary marks as special.
absl::StatusOr<bool> RerankProtocol::IsSpecial(int64_t id) const {
  PALATE_ASSIGN_OR_RETURN(const std::string shown,
                          tokenizer_->Decode({id}, /*skip_special_tokens=*/true));
  if (!shown.empty()) return false;
  PALATE_ASSIGN_OR_RETURN(const std::string spelled,
                          tokenizer_->Decode({id}, /*skip_special_tokens=*/false));
  return !spelled.empty();
}

std::string RerankProtocol::Description() const {
  return absl::StrCat(style_ == RerankStyle::kText ? "qwen3-reranker" : "qwen3-vl-reranker",
                      "/1 max_tokens=", max_tokens_);
}

}  // namespace palate::ranking
