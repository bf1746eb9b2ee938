// Converts text to token ids and back with the Hugging Face `tokenizers` library (tokenizer.json),
// and trains byte-level BPE.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto tokenizer, Tokenizer::Load(folder));
//   PALATE_ASSIGN_OR_RETURN(const EncodedText encoded,
//                           tokenizer->Encode("a red mug", {.max_tokens = 64}));
//   PALATE_ASSIGN_OR_RETURN(const std::string text, tokenizer->Decode(encoded.ids));
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace palate::models {

// Larger tokenizer.json files are rejected.
inline constexpr size_t kMaxTokenizerBytes = 256u << 20;

struct EncodeOptions {
  bool add_special_tokens = true;
  // If false, the text is data: "<|im_end|>" in it is encoded as ordinary characters, never as that
  // token (encode_special_tokens of `tokenizers`).
  bool parse_special_tokens = true;
  // Maximum length of the result, including special tokens; the text is cut at its end. 0 means no
  // limit.
  size_t max_tokens = 0;
};

struct EncodedText {
  std::vector<int64_t> ids;
  // Number of ids that the limit cut off.
  size_t truncated_tokens = 0;
};

// Immutable after loading; every method is thread-safe. Text must be UTF-8: InvalidArgument
// otherwise.
class Tokenizer {
 public:
  // `path` is a tokenizer.json or a folder that contains one. Truncation and padding settings in
  // the file are ignored, because callers set them. A folder's tokenizer also knows the tokens that
  // only its tokenizer_config.json names (models/text/added_tokens.h). NotFound, or InvalidArgument
  // when a file does not parse.
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> Load(const std::string& path);
  // The same for the content of a file, which errors call `source`, and a JSON list of more tokens.
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> Parse(
      absl::string_view json, const std::string& source, absl::string_view added_tokens = "[]");
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  absl::StatusOr<EncodedText> Encode(absl::string_view text,
                                     const EncodeOptions& options = {}) const;
  // One result per text, in order; equal to Encode on each text.
  absl::StatusOr<std::vector<EncodedText>> EncodeBatch(absl::Span<const std::string> texts,
                                                       const EncodeOptions& options = {}) const;

  // Invalid UTF-8 becomes U+FFFD. InvalidArgument for a negative id; ids outside of the vocabulary
  // add nothing.
  absl::StatusOr<std::string> Decode(absl::Span<const int64_t> ids,
                                     bool skip_special_tokens = true) const;

  std::optional<int64_t> TokenToId(absl::string_view token) const;
  std::optional<std::string> IdToToken(int64_t id) const;
  // Number of entries, including added tokens.
  int64_t vocab_size() const;
  // Number of special tokens that Encode adds to one text.
  size_t special_tokens_per_text() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Decodes ids that arrive one by one. Holds back text that may still change, so that no character
// is split. For one thread at a time.
class StreamDecoder {
 public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer,
                         bool skip_special_tokens = true)
      : tokenizer_(std::move(tokenizer)), skip_special_tokens_(skip_special_tokens) {}

  // The text that `id` completes; often empty.
  absl::StatusOr<std::string> Push(int64_t id);
  // The rest of the text. An unfinished character becomes U+FFFD.
  absl::StatusOr<std::string> Finish();

 private:
  absl::StatusOr<std::string> Emit(bool final);

  const std::shared_ptr<const Tokenizer> tokenizer_;
  const bool skip_special_tokens_;
  std::vector<int64_t> ids_;  // the last ids, on which decoding still depends
  size_t shown_ = 0;          // number of those whose text has been returned
};

struct BpeTrainingOptions {
  // Number of entries in the result, including the 256 bytes and the special tokens.
  size_t vocab_size = 8192;
  // They get the ids after the learned entries, in this order, and are never split.
  std::vector<std::string> special_tokens = {};
  // Pairs that are rarer are not merged.
  uint64_t min_frequency = 2;
};

// Learns a byte-level BPE like that of Qwen2 (NFC and the same split expression) and writes
// tokenizer.json to `path`. Deterministic. InvalidArgument when the vocabulary is too small for the
// bytes and special tokens.
absl::Status TrainByteLevelBpe(absl::Span<const std::string> texts,
                               const BpeTrainingOptions& options, const std::string& path);

}  // namespace palate::models
