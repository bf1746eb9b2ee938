#include "models/text/padded_tokenizer.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/checkpoint/json_config.h"
#include "models/text/reference_tokenizer.h"

namespace palate::models {
namespace {

// The text of a special token, which tokenizer_config.json holds as a string or as an object.
absl::StatusOr<std::string> TokenText(const JsonConfig& config, const std::string& key) {
  if (!config.Has(key) || !config.json().at(key).is_object()) return config.String(key);
  PALATE_ASSIGN_OR_RETURN(const JsonConfig token, config.Object(key));
  return token.String("content");
}

// model_max_length. Files without a limit store a huge floating-point number.
absl::StatusOr<int64_t> MaxLength(const JsonConfig& config, int64_t max_positions) {
  if (!config.Has("model_max_length")) return max_positions;
  PALATE_ASSIGN_OR_RETURN(const double length, config.Double("model_max_length"));
  if (length < 1)
    return absl::InvalidArgumentError(
        absl::StrCat(config.source(), ": model_max_length is below 1"));
  return length < static_cast<double>(max_positions) ? static_cast<int64_t>(length) : max_positions;
}

// "padding_side", or the default of the tokenizer's class.
absl::StatusOr<bool> PadsLeft(const JsonConfig& config) {
  PALATE_ASSIGN_OR_RETURN(const std::string tokenizer_class,
                          config.StringOr("tokenizer_class", ""));
  PALATE_ASSIGN_OR_RETURN(
      const std::string side,
      config.StringOr("padding_side",
                      absl::StartsWith(tokenizer_class, "GemmaTokenizer") ? "left" : "right"));

  if (side == "left" || side == "right") return side == "left";
  return absl::InvalidArgumentError(absl::StrCat(
      config.source(), ": padding_side ", QuoteForMessage(side), " is neither left nor right"));
}

}  // namespace

std::vector<int64_t> PaddedIds::AttentionMask() const {
  std::vector<int64_t> mask(ids.size(), 0);
  for (size_t i = 0; i < lengths.size(); ++i) {
    const auto row = mask.begin() + static_cast<ptrdiff_t>(i) * width;
    const auto first = padded_left ? row + width - lengths[i] : row;
    std::fill(first, first + lengths[i], 1);
  }
  return mask;
}

absl::StatusOr<std::shared_ptr<const PaddedTokenizer>> PaddedTokenizer::Load(
    const std::string& folder, TextPadding padding, int64_t max_positions) {
  auto result = std::shared_ptr<PaddedTokenizer>(new PaddedTokenizer);
  PALATE_ASSIGN_OR_RETURN(result->tokenizer_, LoadReferenceTokenizer(folder));
  PALATE_ASSIGN_OR_RETURN(const JsonConfig config,
                          JsonConfig::Load(folder + "/tokenizer_config.json"));

  PALATE_ASSIGN_OR_RETURN(const std::string pad, TokenText(config, "pad_token"));
  const std::optional<int64_t> id = result->tokenizer_->TokenToId(pad);
  if (!id.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        config.source(), ": pad_token ", QuoteForMessage(pad), " is not in tokenizer.json"));
  }

  PALATE_ASSIGN_OR_RETURN(result->max_tokens_, MaxLength(config, max_positions));
  if (result->max_tokens_ <= static_cast<int64_t>(result->tokenizer_->special_tokens_per_text())) {
    return absl::InvalidArgumentError(absl::StrCat(
        config.source(), ": model_max_length ", result->max_tokens_, " leaves no room for text"));
  }

  PALATE_ASSIGN_OR_RETURN(result->pads_left_, PadsLeft(config));
  result->padding_ = padding;
  result->pad_id_ = *id;
  return result;
}

absl::StatusOr<PaddedIds> PaddedTokenizer::Encode(absl::Span<const std::string> texts,
                                                  const PaddedEncodeOptions& options) const {
  const int64_t limit = options.width > 0 ? options.width : max_tokens_;
  PALATE_ASSIGN_OR_RETURN(
      const std::vector<EncodedText> encoded,
      tokenizer_->EncodeBatch(texts, {.parse_special_tokens = options.parse_special_tokens,
                                      .max_tokens = static_cast<size_t>(limit)}));

  PaddedIds result;
  result.padded_left = pads_left_;
  for (const EncodedText& text : encoded) {
    result.lengths.push_back(static_cast<int64_t>(text.ids.size()));
    result.truncated_tokens.push_back(text.truncated_tokens);
    result.width = std::max(result.width, result.lengths.back());
  }

  if (options.width > 0 || padding_ == TextPadding::kMaximum) result.width = limit;
  const auto width = static_cast<size_t>(result.width);
  result.ids.assign(texts.size() * width, pad_id_);
  for (size_t i = 0; i < encoded.size(); ++i) {
    const std::vector<int64_t>& ids = encoded[i].ids;
    const size_t first = i * width + (pads_left_ ? width - ids.size() : 0);
    std::copy(ids.begin(), ids.end(), result.ids.begin() + static_cast<ptrdiff_t>(first));
  }

  return result;
}

}  // namespace palate::models
