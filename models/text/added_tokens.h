// Tokens that only tokenizer_config.json names. Without LibTorch.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "models/checkpoint/json_config.h"

namespace palate::models {

// The tokens that `tokenizer_config` adds to those of tokenizer.json, as a JSON list for
// Tokenizer::Parse: added_tokens_decoder by id, then additional_special_tokens (later called
// extra_special_tokens). As in transformers, a token that tokenizer.json has keeps its id and takes
// the settings given here, and a new token takes the next free id, whatever id stands beside it.
// InvalidArgument when an entry is not a token.
absl::StatusOr<std::string> AddedTokens(const JsonConfig& tokenizer_config);

}  // namespace palate::models
