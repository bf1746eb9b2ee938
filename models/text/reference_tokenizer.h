// A folder's tokenizer as transformers builds it, where that departs from a plain reading of
// tokenizer.json: some of its tokenizer classes keep the vocabulary, merges and post-processor of
// the file, but make the normalizer anew from tokenizer_config.json, or decode in their own way.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "models/text/tokenizer.h"

namespace palate::models {

struct ReferenceTokenizerOptions {
  // Texts are lower-cased before anything else, as sentence_bert_config.json may ask.
  bool lower_case = false;
  // The class that stands for tokenizer_config.json without "tokenizer_class".
  std::string default_class;
};

// The departures:
//   BertTokenizer     normalizes as do_lower_case (true when absent), strip_accents and
//   tokenize_chinese_chars say Siglip2Tokenizer  lower-cases before it turns spaces into word marks
//   CLIPTokenizer     decodes the mark of a word's end as a space, and strips the text
// Every other class reads the file as it is. Errors are those of Tokenizer::Load; InvalidArgument
// when tokenizer_config.json has these keys with another type.
absl::StatusOr<std::shared_ptr<const Tokenizer>> LoadReferenceTokenizer(
    const std::string& folder, const ReferenceTokenizerOptions& options = {});

}  // namespace palate::models
