// The BERT encoder (https://arxiv.org/abs/1810.04805), and a sentence encoder in the layout of
// sentence-transformers.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto encoder, SentenceEncoder::Load(folder));
//   PALATE_ASSIGN_OR_RETURN(const EncodedText text, encoder->Tokenize("a red mug"));
//   PALATE_ASSIGN_OR_RETURN(const at::Tensor vectors, encoder->Encode({text.ids}));
//
// Inference only. Sequences are packed without padding, so that a text's vector does not depend on
// the other texts in its batch.
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
#include "models/families/bert/sentence_layout.h"
#include "models/layers/activation.h"
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
  Activation activation = Activation::kGelu;

  // InvalidArgument for missing or wrong keys; Unimplemented for activations that are not
  // supported, for relative positions, for decoders, and for keys of other models (config_keys.h).
  static absl::StatusOr<BertConfig> FromJson(const JsonConfig& config);
};

// Thread-safe after Load.
class BertModel {
 public:
  // Uses only dtype and device of `options`.
  static absl::StatusOr<std::shared_ptr<const BertModel>> Load(const Checkpoint& checkpoint,
                                                               const LoadOptions& options = {});

  const BertConfig& config() const { return config_; }
  at::Device device() const { return words_.device(); }

  // `ids` is int64 [tokens]: sequences with these `lengths`, concatenated. Fastest if sequences of
  // equal length are adjacent. Returns the last hidden states, [tokens, hidden] in the compute
  // type. Throws as ATen does. REQUIRES: ids in the vocabulary, lengths in [1, max_positions].
  at::Tensor Forward(const at::Tensor& ids, absl::Span<const int64_t> lengths) const;

 private:
  struct Layer {
    Linear qkv, attention_out, up, down;
    at::Tensor attention_norm_weight, attention_norm_bias, output_norm_weight, output_norm_bias;
  };
  // A layer's tensors in the checkpoint, before query, key and value are joined.
  struct StoredLayer;

  explicit BertModel(const BertConfig& config) : config_(config) {}
  ParameterList Parameters(std::vector<StoredLayer>& stored);
  void Prepack(const Checkpoint& checkpoint, const std::vector<StoredLayer>& stored);
  at::Tensor Embed(const at::Tensor& ids, absl::Span<const int64_t> lengths) const;

  const BertConfig config_;
  at::Tensor words_, positions_, types_, norm_weight_, norm_bias_;
  std::vector<Layer> layers_;
};

// A text tower: tokenizer, BERT, pooling, and the modules after it. Thread-safe after Load.
class SentenceEncoder {
 public:
  // Loads a folder in the sentence-transformers layout (see
  // models/families/bert/sentence_layout.h), or a plain BERT folder, which is mean-pooled, limited
  // by its max_position_embeddings, and not normalized. Uses only dtype and device of `options`.
  static absl::StatusOr<std::shared_ptr<const SentenceEncoder>> Load(
      const std::string& folder, const LoadOptions& options = {});

  int64_t dimensions() const { return dimensions_; }
  // Longest input in tokens, including special tokens.
  int64_t max_tokens() const { return max_tokens_; }
  TextPooling pooling() const { return layout_.pooling; }
  // False when no file of the folder states a pooling, so that mean is assumed.
  bool pooling_is_stated() const { return layout_.pooling_is_stated; }
  // Whether the checkpoint's modules end with normalization, so that Encode returns unit vectors.
  bool normalizes() const { return layout_.normalize; }
  // Texts to put before an input, from config_sentence_transformers.json; empty for none.
  const SentencePrompts& prompts() const { return layout_.prompts; }
  const std::string& query_prompt() const { return layout_.prompts.query; }
  // Hex digest of everything that determines the vectors.
  const std::string& digest() const { return digest_; }

  // Truncates at max_tokens(). InvalidArgument when `text` is not UTF-8.
  absl::StatusOr<EncodedText> Tokenize(absl::string_view text) const;
  // The checkpoint's vectors, float32 [sequences.size(), dimensions] on the CPU, in the given
  // order. Unit vectors only if normalizes(). Sorts the sequences by length internally. Errors of
  // LibTorch become statuses. REQUIRES: ids from Tokenize.
  absl::StatusOr<at::Tensor> Encode(absl::Span<const std::vector<int64_t>> sequences) const;

  const BertModel& model() const { return *model_; }

 private:
  struct Dense {
    Linear linear;
    DenseActivation activation = DenseActivation::kIdentity;
  };

  SentenceEncoder() = default;
  absl::Status LoadDense(const LoadOptions& options);
  absl::Status ChooseMaxTokens(const std::string& folder);
  absl::Status ComputeDigest(const Checkpoint& checkpoint);

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const BertModel> model_;
  SentenceLayout layout_;
  std::vector<Dense> dense_;
  int64_t dimensions_ = 0;
  int64_t max_tokens_ = 0;
  std::string digest_;
};

}  // namespace palate::models
