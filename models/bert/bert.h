// The BERT encoder (https://arxiv.org/abs/1810.04805) and the sentence encoder around it, in the sentence-transformers
// layout.
//
// Inference only. Sequences are packed without padding, so that a text's vector does not depend on what shares its
// batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/parameters.h"
#include "models/layers/linear.h"
#include "models/text/tokenizer.h"

namespace palate::models {

struct BertConfig {
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t max_positions = 0;
  int64_t type_vocab_size = 0;
  double layer_norm_eps = 1e-12;

  // InvalidArgument for missing or wrong keys; Unimplemented for activations other than gelu and for relative
  // positions.
  static absl::StatusOr<BertConfig> FromJson(const JsonConfig& config);
};

// Thread-safe after Load.
class BertModel {
 public:
  static absl::StatusOr<std::shared_ptr<const BertModel>> Load(const Checkpoint& checkpoint);

  const BertConfig& config() const { return config_; }

  // `ids` is int64 [tokens], sequences of `lengths` laid end to end; fastest when equal lengths are neighbours. Returns
  // the last hidden states, float32 [tokens, hidden]. Throws as ATen does. REQUIRES: ids in the vocabulary, lengths in
  // [1, max_positions].
  at::Tensor Forward(const at::Tensor& ids, absl::Span<const int64_t> lengths) const;

 private:
  struct Layer {
    Linear qkv, attention_out, up, down;
    at::Tensor attention_norm_weight, attention_norm_bias, output_norm_weight, output_norm_bias;
  };

  explicit BertModel(const BertConfig& config) : config_(config) {}
  at::Tensor Attention(const at::Tensor& qkv, absl::Span<const int64_t> lengths) const;

  const BertConfig config_;
  at::Tensor words_, positions_, types_, norm_weight_, norm_bias_;
  std::vector<Layer> layers_;
};

enum class TextPooling { kMean, kCls };

// A text tower: tokenizer, BERT, pooling, normalisation. Thread-safe after Load.
class SentenceEncoder {
 public:
  // A folder in the sentence-transformers layout (modules.json, 1_Pooling/config.json, sentence_bert_config.json), or a
  // bare BERT folder, which is mean-pooled up to its max_position_embeddings.
  static absl::StatusOr<std::shared_ptr<const SentenceEncoder>> Load(const std::string& folder);

  int64_t dimensions() const { return model_->config().hidden_size; }
  // Longest input in tokens, special ones included.
  int64_t max_tokens() const { return max_tokens_; }
  TextPooling pooling() const { return pooling_; }
  // Text put before every query, from config_sentence_transformers.json; empty when there is none.
  const std::string& query_prompt() const { return query_prompt_; }
  // Hex digest of everything that the vectors depend on.
  const std::string& digest() const { return digest_; }

  // Cuts at max_tokens(). InvalidArgument when `text` is not UTF-8.
  absl::StatusOr<EncodedText> Tokenize(absl::string_view text) const;
  // Unit vectors, float32 [sequences.size(), dimensions], in the given order. Sequences are sorted by length inside.
  // Errors of LibTorch become statuses. REQUIRES: ids as Tokenize gives them.
  absl::StatusOr<at::Tensor> Encode(absl::Span<const std::vector<int64_t>> sequences) const;

  const BertModel& model() const { return *model_; }

 private:
  SentenceEncoder() = default;

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const BertModel> model_;
  TextPooling pooling_ = TextPooling::kMean;
  int64_t max_tokens_ = 0;
  std::string query_prompt_;
  std::string digest_;
};

}  // namespace palate::models
