// Fuzzes the text layer through its C interface. The first byte selects what the other bytes are: a
// text for a tokenizer, ids for a tokenizer, a tokenizer.json, or a chat template with its context.
// No call may let a panic cross the interface, hang, or use unbounded memory.

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "models/text/ffi/palate_text.h"
#include "models/text/ffi_status.h"
#include "tests/fuzz/fuzz.h"

namespace palate::models {
namespace {

// A tokenizer like BERT's: normalizer, splitting, word pieces, a template around the text.
constexpr char kWordPiece[] = R"({"version":"1.0","truncation":null,"padding":null,
  "added_tokens":[{"id":0,"content":"[UNK]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},
                  {"id":1,"content":"[CLS]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},
                  {"id":2,"content":"[SEP]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
  "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},
  "pre_tokenizer":{"type":"BertPreTokenizer"},
  "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
    {"SpecialToken":{"id":"[SEP]","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
    "special_tokens":{"[CLS]":{"id":"[CLS]","ids":[1],"tokens":["[CLS]"]},"[SEP]":{"id":"[SEP]","ids":[2],"tokens":["[SEP]"]}}},
  "decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
  "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,
    "vocab":{"[UNK]":0,"[CLS]":1,"[SEP]":2,"a":3,"##a":4,"walnut":5,"##s":6,"chair":7,"1":8,"##1":9,".":10}}})";

// A tokenizer like SentencePiece's: a unigram model without byte fallback.
constexpr char kUnigram[] = R"({"version":"1.0","truncation":null,"padding":null,
  "added_tokens":[{"id":0,"content":"<unk>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
  "normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "}]},
  "pre_tokenizer":{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"always","split":true},
  "post_processor":null,
  "decoder":{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"always","split":true},
  "model":{"type":"Unigram","unk_id":0,"byte_fallback":false,
    "vocab":[["<unk>",0.0],["\u2581",-2.0],["\u2581a",-2.5],["a",-3.0],["e",-3.1],["walnut",-5.0],["\u2581chair",-5.5],["s",-3.5]]}})";

// Whether the library may report an internal panic (PALATE_TEXT_INTERNAL): only for a tokenizer
// that was loaded from an arbitrary file.
enum class Panic { kNever, kContained };

// Checks a result code. Takes ownership of `error`.
void CheckCode(int code, palate_text_string error, Panic panic = Panic::kNever) {
  if (code == PALATE_TEXT_OK) return;
  const std::string message = TakeString(error);
  FUZZ_CHECK(IsValidUtf8(message));
  if (code == PALATE_TEXT_INVALID || panic == Panic::kContained) return;
  std::fprintf(stderr, "the text library says: %s\n", message.c_str());
  FUZZ_CHECK(code == PALATE_TEXT_INVALID);
}

palate_tokenizer* NewTokenizer(absl::string_view json) {
  palate_tokenizer* handle = nullptr;
  palate_text_string error = {};
  const int code = palate_tokenizer_new(ToSlice(json), ToSlice("[]"), &handle, &error);
  CheckCode(code, error);
  return code == PALATE_TEXT_OK ? handle : nullptr;
}

std::string TrainedBpe() {
  const std::vector<std::string> texts = {"walnut chairs and walnut tables",
                                          "the capital of China is Beijing",
                                          "caf\xc3\xa9 na\xc3\xafve 123"};
  const std::vector<std::string> special = {"<|im_start|>", "<|im_end|>"};

  std::vector<palate_text_slice> text_slices, special_slices;
  for (const std::string& text : texts) text_slices.push_back(ToSlice(text));
  for (const std::string& text : special) special_slices.push_back(ToSlice(text));

  palate_text_string out = {}, error = {};
  CheckCode(
      palate_tokenizer_train_bpe(text_slices.data(), text_slices.size(), special_slices.data(),
                                 special_slices.size(), 300, 1, &out, &error),
      error);

  return TakeString(out);
}

const std::array<palate_tokenizer*, 3>& KnownTokenizers() {
  static const auto* const tokenizers = new std::array<palate_tokenizer*, 3>{
      NewTokenizer(TrainedBpe()), NewTokenizer(kWordPiece), NewTokenizer(kUnigram)};
  return *tokenizers;
}

void Decode(const palate_tokenizer* tokenizer, const std::vector<uint32_t>& ids, bool skip_special,
            Panic panic) {
  palate_text_string out = {}, error = {};
  const int code = palate_tokenizer_decode(tokenizer, ids.data(), ids.size(), skip_special ? 1 : 0,
                                           &out, &error);
  CheckCode(code, error, panic);
  if (code == PALATE_TEXT_OK) FUZZ_CHECK(IsValidUtf8(TakeString(out)));
}

// `flags` selects the options.
void EncodeAndDecode(const palate_tokenizer* tokenizer, absl::string_view text, uint8_t flags,
                     Panic panic = Panic::kNever) {
  const palate_text_slice slice = ToSlice(text);
  const size_t max_tokens = (flags & 4) != 0 ? 1 + flags / 16 : 0;
  palate_text_encodings encodings = {};
  palate_text_string error = {};

  const int code = palate_tokenizer_encode(tokenizer, &slice, 1, flags & 1, (flags >> 1) & 1,
                                           max_tokens, &encodings, &error);
  CheckCode(code, error, panic);
  if (code != PALATE_TEXT_OK) return;

  FUZZ_CHECK(encodings.num_texts == 1 && encodings.offsets[0] == 0 &&
             encodings.offsets[1] == encodings.num_ids);
  FUZZ_CHECK(max_tokens == 0 || encodings.num_ids <= max_tokens);

  const std::vector<uint32_t> ids(encodings.ids, encodings.ids + encodings.num_ids);
  palate_text_encodings_free(encodings);
  Decode(tokenizer, ids, (flags & 8) != 0, panic);
}

void DecodeIds(const palate_tokenizer* tokenizer, absl::string_view bytes,
               Panic panic = Panic::kNever) {
  std::vector<uint32_t> ids(bytes.size() / sizeof(uint32_t));
  if (!ids.empty()) std::memcpy(ids.data(), bytes.data(), ids.size() * sizeof(uint32_t));
  Decode(tokenizer, ids, false, panic);

  // Most ids that arbitrary bytes encode are in no vocabulary.
  for (uint32_t& id : ids) id %= static_cast<uint32_t>(palate_tokenizer_vocab_size(tokenizer) + 1);
  Decode(tokenizer, ids, false, panic);
  Decode(tokenizer, ids, true, panic);
}

void LoadTokenizer(absl::string_view json) {
  palate_tokenizer* const tokenizer = NewTokenizer(json);
  if (tokenizer == nullptr) return;
  EncodeAndDecode(tokenizer, "A walnut chair, caf\xc3\xa9 <|im_end|> 123", 3, Panic::kContained);
  EncodeAndDecode(tokenizer, "", 1, Panic::kContained);
  palate_tokenizer_token_to_id(tokenizer, ToSlice("walnut"));

  palate_text_string token = {};
  if (palate_tokenizer_id_to_token(tokenizer, 5, &token) == 1) TakeString(token);
  DecodeIds(tokenizer, absl::string_view("\1\0\0\0\7\0\0\0", 8), Panic::kContained);
  palate_tokenizer_special_tokens_per_text(tokenizer);
  palate_tokenizer_free(tokenizer);
}

// The input is the template, then a zero byte and the context. Without a context, a fixed
// conversation is rendered.
void RenderTemplate(absl::string_view input) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(input, absl::MaxSplits('\0', 1));
  palate_chat_template* chat_template = nullptr;
  palate_text_string out = {}, error = {};
  int code = palate_chat_template_new(ToSlice(parts.first),
                                      ToSlice("{\"bos_token\": \"<s>\", \"eos_token\": null}"),
                                      &chat_template, &error);
  CheckCode(code, error);

  if (code != PALATE_TEXT_OK) return;
  constexpr absl::string_view kConversation =
      R"({"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image"}]},
          {"role":"assistant","content":"<think>\nno\n</think>\n\nYes"}],"add_generation_prompt":true,"enable_thinking":false})";

  code = palate_chat_template_render(
      chat_template, ToSlice(parts.second.empty() ? kConversation : parts.second), &out, &error);
  CheckCode(code, error);
  if (code == PALATE_TEXT_OK) FUZZ_CHECK(IsValidUtf8(TakeString(out)));

  palate_chat_template_free(chat_template);
}

}  // namespace
}  // namespace palate::models

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace palate::models;
  if (size < 2) return 0;
  const absl::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);

  switch (data[0] % 4) {
    case 0:
      EncodeAndDecode(KnownTokenizers()[static_cast<uint8_t>(rest[0]) % 3], rest.substr(1),
                      static_cast<uint8_t>(rest[0]));
      break;
    case 1:
      DecodeIds(KnownTokenizers()[static_cast<uint8_t>(rest[0]) % 3], rest.substr(1));
      break;
    case 2:
      LoadTokenizer(rest);
      break;
    default:
      RenderTemplate(rest);
  }
  return 0;
}
