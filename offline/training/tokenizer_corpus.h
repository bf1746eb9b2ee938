// Trains the built-in language model's byte-level BPE on what its prompts and explanations say.
// Deterministic. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace palate::training {

struct TokenizerOptions {
  uint64_t seed = 1;
  size_t vocab_size = 4096;  // at most; the corpus may give less
  int shops = 40;            // generated training shops whose texts are read
};

// Item lines, words of attribute shuffles, attribute names, explanations of every wording, and
// titles and descriptions.
absl::StatusOr<std::vector<std::string>> TokenizerCorpus(const TokenizerOptions& options);

// Writes tokenizer.json and tokenizer_config.json into `folder`, which is made when absent.
absl::Status TrainTokenizer(const TokenizerOptions& options, const std::string& folder);

}  // namespace palate::training
