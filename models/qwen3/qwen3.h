// The Qwen3 decoder (https://arxiv.org/abs/2505.09388): grouped-query attention with normalised queries and keys,
// rotary positions, SwiGLU.
//
// One implementation serves and trains: under c10::InferenceMode (or no-grad) it only computes; on a model made
// trainable, autograd flows through Forward, Logits and LabelLogits. Plain ATen calls throw: serving code wraps its
// calls in CatchTorch (models/torch_status.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/parameters.h"
#include "models/qwen3/config.h"

namespace palate::models {

// Several sequences laid end to end, without padding.
struct PackedTokens {
  at::Tensor ids;                // int64 [tokens]
  std::vector<int64_t> lengths;  // of each sequence, all at least 1; their sum is `tokens`
};
// Sequences whose attention the caller decides, such as many candidates that share one prefix and do not see each
// other. Rows shorter than `tokens` are padded; a padded position may attend to itself, and nothing else attends to it.
struct MaskedTokens {
  at::Tensor ids;        // int64 [batch, tokens]
  at::Tensor positions;  // int64 [batch, tokens], for the rotary embedding
  at::Tensor allowed;    // bool [batch, tokens, tokens]: whether query i may attend to key j; every row allows at least one key
};
// Builds the packed form on the CPU.
PackedTokens PackTokens(absl::Span<const std::vector<int64_t>> sequences);

class Qwen3Model;

// Keys and values of a batch of sequences, for decoding. Made by Qwen3Model::NewCache; used by one thread at a time.
class KvCache {
 public:
  int64_t batch_size() const { return static_cast<int64_t>(lengths_.size()); }
  int64_t capacity() const { return capacity_; }
  // Tokens of sequence `i` seen so far.
  int64_t length(int64_t i) const { return lengths_[static_cast<size_t>(i)]; }
  // A cache of its own memory with these sequences in this order: finished ones leave, or one is repeated for many
  // continuations.
  KvCache Select(absl::Span<const int64_t> sequences) const;

 private:
  friend class Qwen3Model;
  int64_t capacity_ = 0;
  std::vector<int64_t> lengths_;    // [batch]
  std::vector<at::Tensor> keys_;    // per layer: [batch, kv_heads, capacity, head_dim]
  std::vector<at::Tensor> values_;  // likewise
};

// Thread-safe for inference after creation: Forward reads weights only (one KvCache per thread).
class Qwen3Model {
 public:
  // Reads a folder. With `trainable`, weights are own memory with requires_grad; else views of the mapping, which the
  // model keeps alive.
  static absl::StatusOr<std::shared_ptr<const Qwen3Model>> Load(const Checkpoint& checkpoint);
  static absl::StatusOr<std::unique_ptr<Qwen3Model>> LoadTrainable(const Checkpoint& checkpoint);
  // Random weights, normal with the config's initializer_range (output projections scaled down by sqrt(2 * layers)),
  // trainable.
  static absl::StatusOr<std::unique_ptr<Qwen3Model>> CreateRandom(const Qwen3Config& config, uint64_t seed);

  const Qwen3Config& config() const { return config_; }

  // Hidden states after the last norm: float32 [tokens, hidden]. Attention is causal within each sequence. Sequences of
  // equal length are computed as one batch: a trainer pads on the right to one length, which no real position sees, and
  // leaves the padding out of its loss.
  at::Tensor Forward(const PackedTokens& tokens) const;

  // The same with the caller's positions and attention: [batch * tokens, hidden], rows in order. Used by the ranker and
  // its trainer; autograd flows as through the other.
  at::Tensor Forward(const MaskedTokens& tokens) const;

  // The same, continuing the sequences of `cache`: lengths[i] new tokens for its sequence i (as many as
  // cache.batch_size()), appended to the cache. REQUIRES: no sequence outgrows the capacity.
  at::Tensor Forward(const PackedTokens& tokens, KvCache& cache) const;
  // An empty cache for `batch` sequences of up to `capacity` tokens each: 2 * layers * batch * capacity * kv_heads *
  // head_dim floats.
  KvCache NewCache(int64_t batch, int64_t capacity) const;

  // `hidden` is [n, hidden]. All logits: [n, vocab].
  at::Tensor Logits(const at::Tensor& hidden) const;
  // Only those of `token_ids`: [n, token_ids.size()], at the price of that many rows of the output matrix.
  at::Tensor LabelLogits(const at::Tensor& hidden, absl::Span<const int64_t> token_ids) const;

  // Every parameter under its checkpoint name, pointing into this model. The output matrix is absent when it is tied.
  ParameterList Parameters();

  // Writes config.json, generation_config.json and model.safetensors; tokenizer.json and tokenizer_config.json are the
  // caller's, see SaveTokenizerConfig. The folder is made when absent.
  absl::Status Save(const std::string& folder);

 private:
  struct Layer {
    at::Tensor input_norm, q_proj, k_proj, v_proj, q_norm, k_norm, o_proj, post_norm, gate_proj, up_proj, down_proj;
  };

  // Attention of one layer: q [tokens, heads, head_dim], k and v [tokens, kv_heads, head_dim] to [tokens, heads *
  // head_dim].
  using Attend = std::function<at::Tensor(size_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v)>;

  explicit Qwen3Model(Qwen3Config config);
  static absl::StatusOr<std::unique_ptr<Qwen3Model>> LoadImpl(const Checkpoint& checkpoint, bool trainable);
  // `ids` and `positions` are int64 [tokens]; returns the hidden states after the last norm.
  at::Tensor Run(const at::Tensor& ids, const at::Tensor& positions, const Attend& attend) const;
  at::Tensor Mlp(const Layer& layer, const at::Tensor& x) const;
  at::Tensor AttendPacked(const std::vector<int64_t>& lengths, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) const;
  at::Tensor AttendCached(const std::vector<int64_t>& lengths, size_t layer, KvCache& cache, const at::Tensor& q, const at::Tensor& k,
                          const at::Tensor& v) const;
  void CreateInverseFrequencies();

  const Qwen3Config config_;
  at::Tensor inverse_frequencies_;  // [head_dim / 2]
  at::Tensor embedding_;            // [vocab, hidden]
  std::vector<Layer> layers_;
  at::Tensor norm_;
  at::Tensor lm_head_;  // [vocab, hidden]; the embedding itself when tied
};

// tokenizer_config.json for a byte-level BPE written by TrainByteLevelBpe, so that the folder is a complete Hugging
// Face one.
struct TokenizerConfig {
  std::string bos_token;  // empty when there is none, as for the other two
  std::string eos_token;
  std::string pad_token;
  std::string chat_template;  // Jinja
  int64_t model_max_length = 0;
};
absl::Status SaveTokenizerConfig(const TokenizerConfig& config, const std::string& folder);

}  // namespace palate::models
