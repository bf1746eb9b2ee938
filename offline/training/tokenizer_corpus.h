// Trains the built-in language model's byte-level BPE on texts of its prompts and explanations.
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
  int shops = 40;            // generated training shops whose texts are in the corpus
};

// The texts to train on: rank prompts, explain prompts, explanations in several wordings, titles
// and descriptions, and the words and attribute names of attribute shuffles.
absl::StatusOr<std::vector<std::string>> TokenizerCorpus(const TokenizerOptions& options);

// Writes tokenizer.json and tokenizer_config.json into `folder`, creating it if needed. Unavailable
// when it cannot be created.
absl::Status TrainTokenizer(const TokenizerOptions& options, const std::string& folder);

}  // namespace palate::training
