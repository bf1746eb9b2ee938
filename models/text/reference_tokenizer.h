// Loads a folder's tokenizer as transformers builds it. Some tokenizer classes of transformers keep
// the vocabulary, merges and post-processor of tokenizer.json but rebuild the normalizer from
// tokenizer_config.json, or decode differently. All of them know the tokens that only
// tokenizer_config.json names (models/text/added_tokens.h).
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto tokenizer, LoadReferenceTokenizer(folder));
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "models/text/tokenizer.h"

namespace palate::models {

struct ReferenceTokenizerOptions {
  // Lower-cases texts before anything else, as sentence_bert_config.json may demand.
  bool lower_case = false;
  // The class to assume when tokenizer_config.json has no "tokenizer_class".
  std::string default_class;
};

// The classes that differ:
//
//   BertTokenizer     normalizes by do_lower_case (true when absent), strip_accents and
//                     tokenize_chinese_chars
//   Siglip2Tokenizer  lower-cases before it turns spaces into word marks
//   CLIPTokenizer     decodes the end-of-word mark as a space, and strips the text
//
// Other classes read the file unchanged. Errors are those of Tokenizer::Load, and InvalidArgument
// when tokenizer_config.json has one of these keys with a wrong type.
absl::StatusOr<std::shared_ptr<const Tokenizer>> LoadReferenceTokenizer(
    const std::string& folder, const ReferenceTokenizerOptions& options = {});

}  // namespace palate::models
