// The dense decoder of the Qwen2, Qwen3 and Llama families and of the vision-language models on top
// of them: grouped-query attention, rotary positions (https://arxiv.org/abs/2104.09864), RMS norms,
// SwiGLU.
//
// One implementation serves and trains: under c10::InferenceMode (or no-grad) it only computes; on
// a model made trainable, autograd flows through Forward, Logits and LabelLogits. Plain ATen calls
// throw: serving code wraps its calls in CatchTorch (models/torch_status.h).
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
#include "models/decoder/attention.h"
#include "models/decoder/decoder_config.h"
#include "models/layers/linear.h"

namespace palate::models {

// Several sequences laid end to end, without padding.
struct PackedTokens {
  at::Tensor ids;                // int64 [tokens]
  std::vector<int64_t> lengths;  // of each sequence, all at least 1; their sum is `tokens`
};
// Builds the packed form on the CPU.
PackedTokens PackTokens(absl::Span<const std::vector<int64_t>> sequences);

// Sequences whose attention the caller decides, such as many candidates that share one prefix and
// do not see each other. Rows shorter than `tokens` are padded; a padded position may attend to
// itself, and nothing else attends to it.
struct MaskedTokens {
  at::Tensor ids;        // int64 [batch, tokens]
  at::Tensor positions;  // int64 [batch, tokens], for the rotary embedding
  at::Tensor allowed;    // bool [batch, tokens, tokens]: whether query i may attend to key j; every
                         // row allows at least one key
};

// Packed sequences whose embeddings and positions the caller made, such as text with images in it.
struct DecoderInputs {
  at::Tensor embeddings;         // [tokens, hidden], in the compute type
  at::Tensor positions;          // int64 [tokens], or [3, tokens]: temporal, height, width
  std::vector<int64_t> lengths;  // as in PackedTokens
  // After decoder layer i, deepstack[i] ([n, hidden]) is added to the rows `deepstack_rows` (int64
  // [n]). Both may be absent.
  at::Tensor deepstack_rows;
  std::vector<at::Tensor> deepstack;
};

struct DecoderLoadOptions {
  // The compute type: float32, bfloat16 or float16. The embedding and the output matrix stay in the
  // mapping, without a copy, when they are stored in it and the device is the CPU.
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
  // What may stand before "embed_tokens.weight", "layers.0…" and "norm.weight", tried in order.
  // Without any (""), a checkpoint may also lack the output matrix: it was stored as an encoder.
  std::vector<std::string> prefixes = {"model.", ""};
  // A checkpoint may lack the output matrix under the other prefixes too: vision-language models
  // that embed are stored so.
  bool output_is_optional = false;
  // Tensors of other parts, such as a vision tower; any other left-over tensor is an error.
  std::vector<std::string> ignored_prefixes = {};
  // A PEFT LoRA folder merged into the weights; empty: none. See models/checkpoint/adapter.h.
  std::string adapter = {};
};

struct RopeRotation;

// Thread-safe for inference after creation: Forward reads weights only (one KvCache per thread).
class DecoderModel {
 public:
  // Reads a folder of a text-only family (its config by models/families.h). The mapping lives as
  // long as the model where weights stay in it. Errors name the folder and list every missing,
  // left-over or ill-shaped tensor.
  static absl::StatusOr<std::shared_ptr<const DecoderModel>> Load(
      const Checkpoint& checkpoint, const DecoderLoadOptions& options = {});
  // The same for a config that the caller read, such as the text part of a vision-language model.
  static absl::StatusOr<std::shared_ptr<const DecoderModel>> Load(
      const Checkpoint& checkpoint, const DecoderConfig& config, const DecoderLoadOptions& options);
  // Weights are own float32 memory with requires_grad.
  static absl::StatusOr<std::unique_ptr<DecoderModel>> LoadTrainable(const Checkpoint& checkpoint);
  // Random weights, normal with the config's initializer_range (output projections scaled down by
  // sqrt(2 * layers)), float32, trainable.
  static absl::StatusOr<std::unique_ptr<DecoderModel>> CreateRandom(const DecoderConfig& config,
                                                                    uint64_t seed);

  const DecoderConfig& config() const { return config_; }
  at::ScalarType dtype() const { return embedding_.scalar_type(); }
  at::Device device() const { return embedding_.device(); }
  // Whether Logits, LabelLogits and OutputRows can be asked; false for a checkpoint that was stored
  // without its output matrix.
  bool has_output() const { return output().defined(); }

  // Hidden states after the last norm, in the compute type: [tokens, hidden]. Attention is causal
  // within each sequence. Neighbors of equal length are computed as one batch: a trainer pads on
  // the right to one length, which no real position sees, and leaves the padding out of its loss.
  // Inputs on the CPU are brought to the model's device, here and below.
  at::Tensor Forward(const PackedTokens& tokens) const;

  // The same with the caller's positions and attention: [batch * tokens, hidden], rows in order.
  // Used by the ranker and its trainer; autograd flows as through the other.
  at::Tensor Forward(const MaskedTokens& tokens) const;

  // The same from embeddings, positions and additions of the caller's.
  at::Tensor Forward(const DecoderInputs& inputs) const;

  // The same, continuing the sequences of `cache`: lengths[i] new tokens for its sequence i (as
  // many as cache.batch_size()), appended to the cache. REQUIRES: no sequence outgrows the
  // capacity.
  at::Tensor Forward(const PackedTokens& tokens, KvCache& cache) const;
  at::Tensor Forward(const DecoderInputs& inputs, KvCache& cache) const;
  // An empty cache for `batch` sequences of up to `capacity` tokens each: 2 * layers * batch *
  // capacity * kv_heads * head_dim elements of the compute type, on the model's device.
  KvCache NewCache(int64_t batch, int64_t capacity) const;

  // Rows of the embedding: int64 [tokens] to [tokens, hidden] in the compute type.
  at::Tensor EmbedTokens(const at::Tensor& ids) const;

  // `hidden` is [n, hidden]. All logits: float32 [n, vocab].
  at::Tensor Logits(const at::Tensor& hidden) const;
  // Only those of `token_ids`: float32 [n, token_ids.size()], computed in float32 at the price of
  // that many rows of the output matrix.
  at::Tensor LabelLogits(const at::Tensor& hidden, absl::Span<const int64_t> token_ids) const;
  // Those rows of the output matrix: float32 [token_ids.size(), hidden].
  at::Tensor OutputRows(absl::Span<const int64_t> token_ids) const;

  // Every parameter under its checkpoint name, pointing into this model. The output matrix is
  // absent when it is tied.
  ParameterList Parameters();

  // Writes config.json, generation_config.json and model.safetensors (float32); tokenizer.json and
  // tokenizer_config.json are the caller's, see SaveTokenizerConfig. The folder is made when
  // absent.
  absl::Status Save(const std::string& folder);

 private:
  struct Layer {
    at::Tensor input_norm, q_proj, k_proj, v_proj, o_proj, post_norm, gate_proj, up_proj, down_proj;
    at::Tensor q_norm, k_norm;                  // with qk_norm; norms are float32 in every model
    at::Tensor q_bias, k_bias, v_bias, o_bias;  // with qkv_bias, o_bias
    at::Tensor gate_bias, up_bias, down_bias;   // with mlp_bias
  };
  // A layer's projections laid out for inference; the tensors above that they stand for are
  // undefined then.
  struct PackedLayer {
    Linear qkv;  // query, key and value in one product
    Linear o;
    Linear gate;  // with its activation
    Linear up, down;
  };
  // [tokens, heads or kv_heads, head_dim] each.
  struct Heads {
    at::Tensor q, k, v;
  };

  explicit DecoderModel(DecoderConfig config);
  static absl::StatusOr<std::unique_ptr<DecoderModel>> LoadImpl(const Checkpoint& checkpoint,
                                                                DecoderConfig config,
                                                                const DecoderLoadOptions& options,
                                                                bool trainable);
  absl::Status CreateRope();
  // The hidden states after the last norm of tokens that begin as `x` ([tokens, hidden]) at
  // `positions`.
  at::Tensor Run(at::Tensor x, const at::Tensor& positions, DecoderAttention& attention,
                 const DecoderInputs* inputs) const;
  // `x` plus what the block adds to it.
  at::Tensor AttentionBlock(size_t layer, const at::Tensor& x, const RopeRotation& rotate,
                            DecoderAttention& attention) const;
  at::Tensor MlpBlock(size_t layer, const at::Tensor& x) const;
  at::Tensor Norm(const at::Tensor& x, const at::Tensor& weight) const;
  at::Tensor AddTo(const at::Tensor& residual, const Linear& linear, const at::Tensor& x) const;
  Heads Project(size_t layer, const at::Tensor& normed) const;
  // Fills packed_, a layer at a time; `checkpoint` is the one that the layers were loaded from.
  void Pack(const Checkpoint& checkpoint);
  // Undefined when the checkpoint had none.
  const at::Tensor& output() const { return config_.tie_word_embeddings ? embedding_ : lm_head_; }

  const DecoderConfig config_;
  at::Tensor inverse_frequencies_;  // float32 [head_dim / 2]
  at::Tensor rope_axes_;            // int64 [head_dim / 2]: which position turns each pair
  at::Tensor embedding_;            // [vocab, hidden]
  std::vector<Layer> layers_;
  std::vector<PackedLayer> packed_;  // as many as layers, or none in a trainable model
  at::Tensor norm_;
  at::Tensor lm_head_;  // [vocab, hidden]; undefined when tied
};

// tokenizer_config.json for a byte-level BPE written by TrainByteLevelBpe, so that the folder is a
// complete Hugging Face one.
struct TokenizerConfig {
  std::string bos_token;  // empty when there is none, as for the other two
  std::string eos_token;
  std::string pad_token;
  std::string chat_template;  // Jinja
  int64_t model_max_length = 0;
};
absl::Status SaveTokenizerConfig(const TokenizerConfig& config, const std::string& folder);

}  // namespace palate::models
