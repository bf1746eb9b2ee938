// Text to token ids and back, as the Hugging Face `tokenizers` library does it (tokenizer.json),
// and the training of byte-level BPE.
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

// Larger tokenizer.json files are refused.
inline constexpr size_t kMaxTokenizerBytes = 256u << 20;

struct EncodeOptions {
  bool add_special_tokens = true;
  // False: the text is data, and "<|im_end|>" in it is ordinary characters, never that token
  // (encode_special_tokens of `tokenizers`).
  bool parse_special_tokens = true;
  // Longest result, special tokens included; the text's end is cut. 0 means no limit.
  size_t max_tokens = 0;
};

struct EncodedText {
  std::vector<int64_t> ids;
  // Ids that the limit cut off; 0 when everything fitted.
  size_t truncated_tokens = 0;
};

// Immutable after loading; every method is thread-safe. Text must be UTF-8: InvalidArgument
// otherwise.
class Tokenizer {
 public:
  // `path` is a tokenizer.json, or a folder that holds one. Truncation and padding set in the file
  // are ignored: callers say what they want. NotFound, or InvalidArgument when the file does not
  // parse.
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> Load(const std::string& path);
  // The same for a file's content; `source` is what errors call it.
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> Parse(absl::string_view json,
                                                                const std::string& source);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  absl::StatusOr<EncodedText> Encode(absl::string_view text,
                                     const EncodeOptions& options = {}) const;
  // One result per text, in order; the same as Encode on each.
  absl::StatusOr<std::vector<EncodedText>> EncodeBatch(absl::Span<const std::string> texts,
                                                       const EncodeOptions& options = {}) const;

  // Bytes that form no UTF-8 come out as U+FFFD. InvalidArgument for a negative id; an id outside
  // of the vocabulary adds nothing.
  absl::StatusOr<std::string> Decode(absl::Span<const int64_t> ids,
                                     bool skip_special_tokens = true) const;

  std::optional<int64_t> TokenToId(absl::string_view token) const;
  std::optional<std::string> IdToToken(int64_t id) const;
  // Entries, added tokens included.
  int64_t vocab_size() const;
  // Special tokens that Encode adds to one text.
  size_t special_tokens_per_text() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Turns ids that arrive one by one into text, never splitting a character: what cannot be shown yet
// is held back. One thread at a time.
class StreamDecoder {
 public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer,
                         bool skip_special_tokens = true)
      : tokenizer_(std::move(tokenizer)), skip_special_tokens_(skip_special_tokens) {}

  // The text that `id` completes; often empty.
  absl::StatusOr<std::string> Push(int64_t id);
  // What is still held back at the end; an unfinished character comes out as U+FFFD.
  absl::StatusOr<std::string> Finish();

 private:
  absl::StatusOr<std::string> Emit(bool final);

  const std::shared_ptr<const Tokenizer> tokenizer_;
  const bool skip_special_tokens_;
  std::vector<int64_t> ids_;  // the tail that decoding still depends on
  size_t shown_ = 0;          // ids of the tail whose text has been returned
};

struct BpeTrainingOptions {
  // Entries of the result, the 256 bytes and the special tokens included.
  size_t vocab_size = 8192;
  // Get the ids after the learned entries, in this order, and are never split.
  std::vector<std::string> special_tokens = {};
  // Pairs rarer than this are not merged.
  uint64_t min_frequency = 2;
};

// Learns a byte-level BPE in the Qwen2 manner (NFC, the same splitting expression, so ids of any
// text decode to the same text) and writes tokenizer.json to `path`. Deterministic. InvalidArgument
// when the vocabulary has no room for bytes and special tokens.
absl::Status TrainByteLevelBpe(absl::Span<const std::string> texts,
                               const BpeTrainingOptions& options, const std::string& path);

}  // namespace palate::models
