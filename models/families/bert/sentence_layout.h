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
  std::string transformer;  // the folder of the transformer's config, weights and tokenizer
  // False when no file states a pooling; `pooling` is then the default of sentence-transformers.
  bool pooling_is_stated = false;
  TextPooling pooling = TextPooling::kMean;
  std::vector<DenseModule> dense;  // in order, between pooling and normalization
  bool normalize = false;
  int64_t max_tokens = 0;   // 0 when no file has a limit
  bool lower_case = false;  // texts are lower-cased before tokenization
  SentencePrompts prompts;
};

// The folder of the transformer's own files: `folder`, or the subfolder that modules.json names
// (such as "0_Transformer"). Errors as ReadSentenceLayout.
absl::StatusOr<std::string> TransformerFolder(const std::string& folder);

// Reads these files of `folder`. A folder without modules.json is mean-pooled and not normalized,
// as by sentence-transformers; `pooling_is_stated` is then false, and callers say so.
// InvalidArgument for files that do not parse or are inconsistent; Unimplemented naming a module,
// pooling or activation that is not supported.
absl::StatusOr<SentenceLayout> ReadSentenceLayout(const std::string& folder);

}  // namespace palate::models
