// The dense decoder of the Qwen2, Qwen3 and Llama families, and of the vision-language models based
// on them: grouped-query attention, rotary positions (https://arxiv.org/abs/2104.09864), RMS norms,
// SwiGLU.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(folder));
//   PALATE_ASSIGN_OR_RETURN(const auto model, DecoderModel::Load(checkpoint));
//   const std::vector<int64_t> prompt = {1, 2, 3};
//   PALATE_ASSIGN_OR_RETURN(const at::Tensor logits, CatchTorch([&] {
//     const c10::InferenceMode inference;
//     return model->Logits(model->Forward(PackTokens({prompt})));
//   }));
//
// One implementation serves and trains: under c10::InferenceMode (or no-grad) it only computes; on
// a trainable model, autograd flows through Forward, Logits and LabelLogits. Throws as ATen does:
// serving code wraps its calls in CatchTorch (models/torch_status.h).
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

// Several sequences, concatenated without padding.
struct PackedTokens {
  at::Tensor ids;                // int64 [tokens]
  std::vector<int64_t> lengths;  // of each sequence, all at least 1; their sum is `tokens`
};
// Packs the sequences on the CPU.
PackedTokens PackTokens(absl::Span<const std::vector<int64_t>> sequences);

// Sequences with attention defined by the caller, such as many candidates that share one prefix and
// do not see each other. Rows shorter than `tokens` are padded; a padded position may attend to
// itself, and nothing else may attend to it.
struct MaskedTokens {
  at::Tensor ids;        // int64 [batch, tokens]
  at::Tensor positions;  // int64 [batch, tokens], for the rotary embedding
  at::Tensor allowed;    // bool [batch, tokens, tokens]: whether query i may attend to key j; every
                         // row allows at least one key
};

// Packed sequences with embeddings and positions from the caller, such as text with images in it.
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
  // The compute type: float32, bfloat16 or float16. On the CPU, an embedding and an output matrix
  // that are stored in this type remain in the mapping, without a copy.
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
  // Prefixes of "embed_tokens.weight", "layers.0…" and "norm.weight"; the one that matches most
  // names is used. A checkpoint whose prefix does not start with "model." may lack the output
  // matrix, because encoders are stored that way.
  std::vector<std::string> prefixes = {"model.", ""};
  // Allows the output matrix to be absent under the other prefixes too, because vision-language
  // embedding models are stored that way.
  bool output_is_optional = false;
  // Tensors of other parts, such as a vision tower. Any other unlisted tensor is an error.
  std::vector<std::string> ignored_prefixes = {};
  // The folder of a PEFT LoRA adapter to merge into the weights; empty for none. See
  // models/checkpoint/adapter.h.
  std::string adapter = {};
};

struct RopeRotation;

// Thread-safe for inference after creation, because Forward only reads the weights (each thread
// needs its own KvCache).
class DecoderModel {
 public:
  // Loads a folder of a text-only family (see models/families.h for its config). The
  // mapping lives as long as the model if weights remain in it. Errors name the folder and list
  // every missing, unlisted or wrongly shaped tensor.
  static absl::StatusOr<std::shared_ptr<const DecoderModel>> Load(
      const Checkpoint& checkpoint, const DecoderLoadOptions& options = {});
  // The same with a config from the caller, such as the text part of a vision-language model.
  static absl::StatusOr<std::shared_ptr<const DecoderModel>> Load(
      const Checkpoint& checkpoint, const DecoderConfig& config, const DecoderLoadOptions& options);
  // Weights are float32 memory of the model with requires_grad.
  static absl::StatusOr<std::unique_ptr<DecoderModel>> LoadTrainable(const Checkpoint& checkpoint);
  // Random, trainable float32 weights, normal with the config's initializer_range (projections into
  // the residual stream are scaled down by sqrt(2 * layers)).
  static absl::StatusOr<std::unique_ptr<DecoderModel>> CreateRandom(const DecoderConfig& config,
                                                                    uint64_t seed);

  const DecoderConfig& config() const { return config_; }
  at::ScalarType dtype() const { return embedding_.scalar_type(); }
  at::Device device() const { return embedding_.device(); }
  // Whether Logits, LabelLogits and OutputRows may be called; false for a checkpoint that was
  // stored without its output matrix.
  bool has_output() const { return output().defined(); }

  // Hidden states after the last norm, in the compute type: [tokens, hidden]. Attention is causal
  // within each sequence. Adjacent sequences of equal length are computed as one batch: a trainer
  // pads on the right to one length, which no real position sees, and excludes the padding from its
  // loss. Inputs on the CPU are copied to the model's device, here and below.
  at::Tensor Forward(const PackedTokens& tokens) const;

  // The same with the caller's positions and attention: [batch * tokens, hidden], in row order.
  // Used by the ranker and its trainer; differentiable.
  at::Tensor Forward(const MaskedTokens& tokens) const;

  // The same with embeddings, positions and additions from the caller.
  at::Tensor Forward(const DecoderInputs& inputs) const;

  // The same, continuing the sequences of `cache`: appends lengths[i] new tokens to its sequence i.
  // `lengths` has cache.batch_size() elements. REQUIRES: no sequence exceeds the capacity.
  at::Tensor Forward(const PackedTokens& tokens, KvCache& cache) const;
  at::Tensor Forward(const DecoderInputs& inputs, KvCache& cache) const;
  // An empty cache for `batch` sequences of up to `capacity` tokens each. Takes 2 * layers * batch
  // * capacity * kv_heads * head_dim elements of the compute type on the model's device.
  KvCache NewCache(int64_t batch, int64_t capacity) const;

  // Rows of the embedding for `ids` (int64 [tokens]): [tokens, hidden] in the compute type.
  at::Tensor EmbedTokens(const at::Tensor& ids) const;

  // All logits of `hidden` ([n, hidden]): float32 [n, vocab].
  at::Tensor Logits(const at::Tensor& hidden) const;
  // Only the logits of `token_ids`: float32 [n, token_ids.size()], computed in float32 from these
  // rows of the output matrix.
  at::Tensor LabelLogits(const at::Tensor& hidden, absl::Span<const int64_t> token_ids) const;
  // These rows of the output matrix: float32 [token_ids.size(), hidden].
  at::Tensor OutputRows(absl::Span<const int64_t> token_ids) const;

  // Every parameter under its checkpoint name; the list points into this model. Without the output
  // matrix when it is tied to the embedding.
  ParameterList Parameters();

  // Writes config.json, generation_config.json and model.safetensors (float32) and creates the
  // folder if it is absent. The caller writes tokenizer.json and tokenizer_config.json, see
  // SaveTokenizerConfig.
  absl::Status Save(const std::string& folder);

 private:
  struct Layer {
    at::Tensor input_norm, q_proj, k_proj, v_proj, o_proj, post_norm, gate_proj, up_proj, down_proj;
    at::Tensor q_norm, k_norm;                  // with qk_norm; norms are float32 in every model
    at::Tensor q_bias, k_bias, v_bias, o_bias;  // with qkv_bias, o_bias
    at::Tensor gate_bias, up_bias, down_bias;   // with mlp_bias
  };
  // A layer's projections in the layout for inference. They replace tensors above, which are then
  // undefined.
  struct PackedLayer {
    Linear qkv;  // query, key and value in one product
    Linear o;
    Linear gate;  // with its activation
    Linear up, down;
  };
  // Each [tokens, heads or kv_heads, head_dim].
  struct Heads {
    at::Tensor q, k, v;
  };

  explicit DecoderModel(DecoderConfig config);
  static absl::StatusOr<std::unique_ptr<DecoderModel>> LoadImpl(const Checkpoint& checkpoint,
                                                                DecoderConfig config,
                                                                const DecoderLoadOptions& options,
                                                                bool trainable);
  absl::Status CreateRope();
  // Runs all layers on `x` ([tokens, hidden], the embeddings) at `positions` and returns the hidden
  // states after the last norm.
  at::Tensor Run(at::Tensor x, const at::Tensor& positions, DecoderAttention& attention,
                 const DecoderInputs* inputs) const;
  // Return `x` plus the block's contribution.
  at::Tensor AttentionBlock(size_t layer, const at::Tensor& x, const RopeRotation& rotate,
                            DecoderAttention& attention) const;
  at::Tensor MlpBlock(size_t layer, const at::Tensor& x) const;
  at::Tensor Norm(const at::Tensor& x, const at::Tensor& weight) const;
  at::Tensor AddTo(const at::Tensor& residual, const Linear& linear, const at::Tensor& x) const;
  Heads Project(size_t layer, const at::Tensor& normed) const;
  // Fills packed_ layer by layer. REQUIRES: the layers were loaded from `checkpoint`.
  void Pack(const Checkpoint& checkpoint);
  // Undefined when the checkpoint had none.
  const at::Tensor& output() const { return config_.tie_word_embeddings ? embedding_ : lm_head_; }

  const DecoderConfig config_;
  at::Tensor inverse_frequencies_;  // float32 [head_dim / 2]
  at::Tensor rope_axes_;            // int64 [head_dim / 2]: the position axis of each pair
  at::Tensor embedding_;            // [vocab, hidden]
  std::vector<Layer> layers_;
  std::vector<PackedLayer> packed_;  // one per layer, or empty in a trainable model
  at::Tensor norm_;
  at::Tensor lm_head_;  // [vocab, hidden]; undefined when tied
};

// tokenizer_config.json for a byte-level BPE written by TrainByteLevelBpe, which completes a
// Hugging Face folder.
struct TokenizerConfig {
  std::string bos_token;  // empty for none, as in the next two
  std::string eos_token;
  std::string pad_token;
  std::string chat_template;  // Jinja
  int64_t model_max_length = 0;
};
absl::Status SaveTokenizerConfig(const TokenizerConfig& config, const std::string& folder);

}  // namespace palate::models
