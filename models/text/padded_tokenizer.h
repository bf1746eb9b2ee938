// Encodes texts to token ids of one length per batch, for the text towers of CLIP and SigLIP.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(
//       const auto tokenizer,
//       PaddedTokenizer::Load(folder, TextPadding::kLongest, /*max_positions=*/77));
//   const std::vector<std::string> texts = {"a mug", "a red mug"};
//   PALATE_ASSIGN_OR_RETURN(const PaddedIds batch, tokenizer->Encode(texts));
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/text/tokenizer.h"

namespace palate::models {

enum class TextPadding {
  kLongest,  // to the longest text of the batch, as CLIP does
  kMaximum   // to max_tokens(), as SigLIP does
};

// One batch: row i is ids[i * width, (i + 1) * width).
struct PaddedIds {
  std::vector<int64_t> ids;
  int64_t width = 0;
  bool padded_left = false;              // padding comes before the tokens instead of after them
  std::vector<int64_t> lengths;          // without padding
  std::vector<size_t> truncated_tokens;  // ids that the limit cut off each text

  // 1 for a token and 0 for padding, in the layout of `ids`.
  std::vector<int64_t> AttentionMask() const;
};

struct PaddedEncodeOptions {
  // Pads and truncates to this many tokens; 0 uses the padding that the tokenizer was loaded with.
  int64_t width = 0;
  // If false, "</s>" in a text is encoded as ordinary characters, never as that token.
  bool parse_special_tokens = true;
};

// A folder's tokenizer and its padding token. The tokenizer's post-processor decides which special
// tokens surround a text. Immutable; thread-safe.
class PaddedTokenizer {
 public:
  // Reads tokenizer.json, and tokenizer_config.json for pad_token, padding_side and
  // model_max_length. Texts are truncated at the smaller of model_max_length and `max_positions`.
  // NotFound or InvalidArgument naming the file.
  static absl::StatusOr<std::shared_ptr<const PaddedTokenizer>> Load(const std::string& folder,
                                                                     TextPadding padding,
                                                                     int64_t max_positions);

  // InvalidArgument when a text is not UTF-8.
  absl::StatusOr<PaddedIds> Encode(absl::Span<const std::string> texts,
                                   const PaddedEncodeOptions& options = {}) const;

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  int64_t max_tokens() const { return max_tokens_; }
  int64_t pad_id() const { return pad_id_; }

 private:
  PaddedTokenizer() = default;

  std::shared_ptr<const Tokenizer> tokenizer_;
  TextPadding padding_ = TextPadding::kLongest;
  int64_t max_tokens_ = 0;
  int64_t pad_id_ = 0;
  bool pads_left_ = false;
};

}  // namespace palate::models
