// Reads the files in which sentence-transformers describes the modules around a transformer:
// modules.json, the folders of the pooling and the dense layers, sentence_bert_config.json and
// config_sentence_transformers.json. Without LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace palate::models {

// Combines the states of a text's tokens, including special tokens, into one vector.
enum class TextPooling {
  kMean,
  kCls,          // the first token
  kMax,          // the largest value of each dimension
  kMeanSqrtLen,  // the sum divided by the square root of the number of tokens
  kLastToken
};

enum class DenseActivation { kIdentity, kTanh, kRelu, kGelu, kSigmoid };

// A linear layer after the pooling.
struct DenseModule {
  std::string folder;  // holds config.json and model.safetensors
  int64_t in_features = 0;
  int64_t out_features = 0;
  bool bias = true;
  DenseActivation activation = DenseActivation::kTanh;
};

// Texts to put before inputs.
struct SentencePrompts {
  std::string query;
  std::string document;
};

struct SentenceLayout {
  TextPooling pooling = TextPooling::kMean;
  std::vector<DenseModule> dense;  // in order, between pooling and normalization
  bool normalize = false;
  int64_t max_tokens = 0;   // 0 when no file has a limit
  bool lower_case = false;  // texts are lower-cased before tokenization
  SentencePrompts prompts;
};

// Reads these files of `folder`. A folder without modules.json is mean-pooled and not normalized.
// InvalidArgument for files that do not parse or are inconsistent; Unimplemented naming a module,
// pooling or activation that is not supported.
absl::StatusOr<SentenceLayout> ReadSentenceLayout(const std::string& folder);

}  // namespace palate::models
