/* C ABI of the Rust text library: tokenizers and chat templates. C++ code uses
 * models/text/tokenizer.h and chat_template.h instead.
 *
 * Conventions: functions that can fail return 0, or a palate_text_error with a message in `error`.
 * The caller owns returned buffers and releases them with the matching free function; on failure
 * only `error` is set. Strings are UTF-8 with a length, not terminated. Handles are immutable;
 * every function on them except free is thread-safe. A Rust panic is caught and reported as
 * PALATE_TEXT_INTERNAL. */
#ifndef PALATE_MODELS_TEXT_FFI_PALATE_TEXT_H_
#define PALATE_MODELS_TEXT_FFI_PALATE_TEXT_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  PALATE_TEXT_OK = 0,
  PALATE_TEXT_INVALID = 1,
  PALATE_TEXT_INTERNAL = 2
} palate_text_error;

typedef struct {
  const char* data;
  size_t size;
} palate_text_slice;

typedef struct {
  char* data;
  size_t size;
} palate_text_string;

typedef struct {
  uint32_t* ids; /* of all texts, concatenated */
  size_t num_ids;
  size_t* offsets;   /* [num_texts + 1]: the start of each text's ids */
  size_t* truncated; /* [num_texts]: ids that the limit cut off */
  size_t num_texts;
} palate_text_encodings;

typedef struct palate_tokenizer palate_tokenizer;
typedef struct palate_chat_template palate_chat_template;

void palate_text_string_free(palate_text_string string);
void palate_text_encodings_free(palate_text_encodings encodings);

/* `json` is the content of a tokenizer.json, `added_tokens` a JSON list of tokens that it need not
 * have, with all of their settings. */
int palate_tokenizer_new(palate_text_slice json, palate_text_slice added_tokens,
                         palate_tokenizer** out, palate_text_string* error);
void palate_tokenizer_free(palate_tokenizer* tokenizer);

/* Without `parse_special_tokens`, special tokens in a text are encoded as ordinary characters.
 * `max_tokens` 0 means no limit. */
int palate_tokenizer_encode(const palate_tokenizer* tokenizer, const palate_text_slice* texts,
                            size_t num_texts, int add_special_tokens, int parse_special_tokens,
                            size_t max_tokens, palate_text_encodings* out,
                            palate_text_string* error);
int palate_tokenizer_decode(const palate_tokenizer* tokenizer, const uint32_t* ids, size_t num_ids,
                            int skip_special_tokens, palate_text_string* out,
                            palate_text_string* error);
/* -1 when there is no such token. */
int64_t palate_tokenizer_token_to_id(const palate_tokenizer* tokenizer, palate_text_slice token);
/* 1 when `id` exists, with its token in `out`; 0 otherwise. */
int palate_tokenizer_id_to_token(const palate_tokenizer* tokenizer, uint32_t id,
                                 palate_text_string* out);
size_t palate_tokenizer_vocab_size(const palate_tokenizer* tokenizer);
size_t palate_tokenizer_special_tokens_per_text(const palate_tokenizer* tokenizer);

/* Trains a byte-level BPE; `out` is the content of a tokenizer.json. */
int palate_tokenizer_train_bpe(const palate_text_slice* texts, size_t num_texts,
                               const palate_text_slice* special_tokens, size_t num_special_tokens,
                               size_t vocab_size, uint64_t min_frequency, palate_text_string* out,
                               palate_text_string* error);

/* `variables` is a JSON object; every rendering sees its keys. */
int palate_chat_template_new(palate_text_slice source, palate_text_slice variables,
                             palate_chat_template** out, palate_text_string* error);
void palate_chat_template_free(palate_chat_template* chat_template);
/* `context` is a JSON object; its keys override the template's variables. */
int palate_chat_template_render(const palate_chat_template* chat_template,
                                palate_text_slice context, palate_text_string* out,
                                palate_text_string* error);

#ifdef __cplusplus
}
#endif

#endif /* PALATE_MODELS_TEXT_FFI_PALATE_TEXT_H_ */
