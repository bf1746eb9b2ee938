#include "models/text/tokenizer.h"

#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/checkpoint/json_config.h"
#include "models/text/added_tokens.h"
#include "models/text/ffi_status.h"

namespace palate::models {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

std::vector<palate_text_slice> ToSlices(absl::Span<const std::string> texts) {
  std::vector<palate_text_slice> slices;
  slices.reserve(texts.size());
  for (const std::string& text : texts) slices.push_back(ToSlice(text));
  return slices;
}

}  // namespace

struct Tokenizer::Impl {
  // The size is read once: the library copies the vocabulary to count it.
  explicit Impl(palate_tokenizer* tokenizer)
      : handle(tokenizer),
        vocab_size(static_cast<int64_t>(palate_tokenizer_vocab_size(tokenizer))) {}
  ~Impl() { palate_tokenizer_free(handle); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  absl::StatusOr<std::vector<EncodedText>> Encode(absl::Span<const palate_text_slice> texts,
                                                  const EncodeOptions& options) const {
    palate_text_encodings encodings = {};
    palate_text_string error = {};
    PALATE_RETURN_IF_ERROR(ToStatus(palate_tokenizer_encode(handle, texts.data(), texts.size(),
                                                            options.add_special_tokens ? 1 : 0,
                                                            options.parse_special_tokens ? 1 : 0,
                                                            options.max_tokens, &encodings, &error),
                                    error));

    std::vector<EncodedText> results(texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      results[i].ids.assign(encodings.ids + encodings.offsets[i],
                            encodings.ids + encodings.offsets[i + 1]);
      results[i].truncated_tokens = encodings.truncated[i];
    }

    palate_text_encodings_free(encodings);
    return results;
  }

  palate_tokenizer* const handle;
  const int64_t vocab_size;
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::shared_ptr<const Tokenizer>> Tokenizer::Load(const std::string& path) {
  const bool is_file = absl::EndsWith(path, ".json");
  const std::string file = is_file ? path : InFolder(path, "tokenizer.json");
  PALATE_ASSIGN_OR_RETURN(const std::string json, ReadFileToString(file, kMaxTokenizerBytes));
  const std::string config_file = InFolder(path, "tokenizer_config.json");
  if (is_file || !FileExists(config_file)) return Parse(json, file);

  PALATE_ASSIGN_OR_RETURN(const JsonConfig config, JsonConfig::Load(config_file));
  PALATE_ASSIGN_OR_RETURN(const std::string added, AddedTokens(config));
  return Parse(json, file, added);
}

absl::StatusOr<std::shared_ptr<const Tokenizer>> Tokenizer::Parse(absl::string_view json,
                                                                  const std::string& source,
                                                                  absl::string_view added_tokens) {
  palate_tokenizer* handle = nullptr;
  palate_text_string error = {};
  PALATE_RETURN_IF_ERROR(Annotate(
      ToStatus(palate_tokenizer_new(ToSlice(json), ToSlice(added_tokens), &handle, &error), error),
      source));
  return std::shared_ptr<const Tokenizer>(new Tokenizer(std::make_unique<Impl>(handle)));
}

absl::StatusOr<EncodedText> Tokenizer::Encode(absl::string_view text,
                                              const EncodeOptions& options) const {
  const palate_text_slice slice = ToSlice(text);
  PALATE_ASSIGN_OR_RETURN(std::vector<EncodedText> results,
                          impl_->Encode(absl::MakeConstSpan(&slice, 1), options));
  return std::move(results[0]);
}

absl::StatusOr<std::vector<EncodedText>> Tokenizer::EncodeBatch(
    absl::Span<const std::string> texts, const EncodeOptions& options) const {
  return impl_->Encode(ToSlices(texts), options);
}

absl::StatusOr<std::string> Tokenizer::Decode(absl::Span<const int64_t> ids,
                                              bool skip_special_tokens) const {
  std::vector<uint32_t> narrow;
  narrow.reserve(ids.size());
  for (int64_t id : ids) {
    if (id < 0 || id > std::numeric_limits<uint32_t>::max())
      return absl::InvalidArgumentError(absl::StrCat("token id ", id, " is out of range"));
    narrow.push_back(static_cast<uint32_t>(id));
  }

  palate_text_string out = {};
  palate_text_string error = {};
  PALATE_RETURN_IF_ERROR(
      ToStatus(palate_tokenizer_decode(impl_->handle, narrow.data(), narrow.size(),
                                       skip_special_tokens ? 1 : 0, &out, &error),
               error));
  return TakeString(out);
}

std::optional<int64_t> Tokenizer::TokenToId(absl::string_view token) const {
  const int64_t id = palate_tokenizer_token_to_id(impl_->handle, ToSlice(token));
  return id < 0 ? std::nullopt : std::optional<int64_t>(id);
}

std::optional<std::string> Tokenizer::IdToToken(int64_t id) const {
  if (id < 0 || id > std::numeric_limits<uint32_t>::max()) return std::nullopt;
  palate_text_string out = {};
  if (palate_tokenizer_id_to_token(impl_->handle, static_cast<uint32_t>(id), &out) == 0)
    return std::nullopt;
  return TakeString(out);
}

int64_t Tokenizer::vocab_size() const { return impl_->vocab_size; }

size_t Tokenizer::special_tokens_per_text() const {
  return palate_tokenizer_special_tokens_per_text(impl_->handle);
}

absl::StatusOr<std::string> StreamDecoder::Push(int64_t id) {
  ids_.push_back(id);
  return Emit(/*final=*/false);
}

absl::StatusOr<std::string> StreamDecoder::Finish() { return Emit(/*final=*/true); }

// Decoding a token alone may differ from decoding it after its predecessor (spaces, split
// characters). Therefore the new text is the difference between decoding the tail with and without
// the unseen ids.
absl::StatusOr<std::string> StreamDecoder::Emit(bool final) {
  PALATE_ASSIGN_OR_RETURN(
      const std::string before,
      tokenizer_->Decode(absl::MakeConstSpan(ids_).subspan(0, shown_), skip_special_tokens_));
  PALATE_ASSIGN_OR_RETURN(const std::string after, tokenizer_->Decode(ids_, skip_special_tokens_));

  const bool unfinished = absl::EndsWith(after, kReplacement);
  if (after.size() <= before.size() || (unfinished && !final)) return std::string();

  ids_.erase(ids_.begin(), ids_.begin() + static_cast<ptrdiff_t>(shown_));
  shown_ = ids_.size();
  return after.substr(before.size());
}

absl::Status TrainByteLevelBpe(absl::Span<const std::string> texts,
                               const BpeTrainingOptions& options, const std::string& path) {
  const std::vector<palate_text_slice> slices = ToSlices(texts);
  const std::vector<palate_text_slice> special = ToSlices(options.special_tokens);

  palate_text_string out = {};
  palate_text_string error = {};
  PALATE_RETURN_IF_ERROR(ToStatus(
      palate_tokenizer_train_bpe(slices.data(), slices.size(), special.data(), special.size(),
                                 options.vocab_size, options.min_frequency, &out, &error),
      error));
  return WriteFileAtomically(path, TakeString(out));
}

}  // namespace palate::models
