// The files with which sentence-transformers says what stands around a transformer: modules.json,
// the pooling's and the dense layers' folders, sentence_bert_config.json and
// config_sentence_transformers.json. Without LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace palate::models {

// How the states of a text's tokens, special ones included, become one vector.
enum class TextPooling {
  kMean,
  kCls,          // the first token
  kMax,          // the largest value of each dimension
  kMeanSqrtLen,  // the sum divided by the root of the number of tokens
  kLastToken
};

enum class DenseActivation { kIdentity, kTanh, kRelu, kGelu, kSigmoid };

// A linear layer behind the pooling.
struct DenseModule {
  std::string folder;  // holds config.json and model.safetensors
  int64_t in_features = 0;
  int64_t out_features = 0;
  bool bias = true;
  DenseActivation activation = DenseActivation::kTanh;
};

// Texts put before inputs.
struct SentencePrompts {
  std::string query;
  std::string document;
};

struct SentenceLayout {
  TextPooling pooling = TextPooling::kMean;
  std::vector<DenseModule> dense;  // in order, between pooling and normalization
  bool normalize = false;
  int64_t max_tokens = 0;   // 0 when no file says
  bool lower_case = false;  // texts are lower-cased before the tokenizer sees them
  SentencePrompts prompts;
};

// Reads what `folder` has of these files; a folder without modules.json is pooled by the mean and
// not normalized. InvalidArgument for files that do not parse or contradict themselves;
// Unimplemented naming a module, a pooling or an activation that is not supported.
absl::StatusOr<SentenceLayout> ReadSentenceLayout(const std::string& folder);

}  // namespace palate::models
