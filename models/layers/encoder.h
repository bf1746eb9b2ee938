// The stack of pre-norm transformer blocks in ViT, CLIP and SigLIP:
//   x += attention(norm1(x));  x += fc2(activation(fc1(norm2(x))))
//
// One implementation serves and trains. Before Prepack(), ATen's differentiable operations compute
// with the weights; Prepack() converts them to the layout for inference on the processor.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/checkpoint/parameters.h"
#include "models/layers/activation.h"
#include "models/layers/linear.h"

namespace palate::models {

struct EncoderConfig {
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;  // divides hidden_size
  Activation activation = Activation::kGelu;
  double layer_norm_eps = 1e-5;
  double initializer_range = 0.02;
};

// The tensor names of block i: `prefix` + i + "." + part + "weight" or "bias".
struct EncoderNames {
  std::string prefix;
  std::string norm1, query, key, value, out, norm2, fc1, fc2;

  // The names in CLIP and SigLIP under `tower`, such as "text_model.".
  static EncoderNames Clip(const std::string& tower);
  // The names in ViTModel.
  static EncoderNames Vit();
};

// Thread-safe once the weights are set. Throws as ATen does.
class PreNormEncoder {
 public:
  PreNormEncoder() = default;
  PreNormEncoder(const EncoderConfig& config, EncoderNames names);
  // Not copyable, because the parameter list points into the object.
  PreNormEncoder(const PreNormEncoder&) = delete;
  PreNormEncoder& operator=(const PreNormEncoder&) = delete;

  // Appends the blocks' parameters; `list` must not outlive this object.
  void AddParameters(ParameterList& list);

  // Joins query, key and value and prepacks the products for inference. The separate tensors are
  // released, so that parameter lists and training are no longer possible. Releases the pages of
  // `checkpoint`, which must hold these weights, block by block.
  void Prepack(const Checkpoint& checkpoint);

  // `x` is [batch, tokens, hidden] in the weights' type. `mask` is undefined, or boolean and
  // broadcastable to [batch, heads, tokens, tokens], true where a token may attend. Returns the
  // output of the last block, without a final norm.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& mask = {}) const;

 private:
  struct Block {
    at::Tensor norm1_weight, norm1_bias, q_weight, q_bias, k_weight, k_bias, v_weight, v_bias,
        out_weight, out_bias;
    at::Tensor norm2_weight, norm2_bias, fc1_weight, fc1_bias, fc2_weight, fc2_bias;
    Linear qkv, out, fc1, fc2;  // after Prepack
  };
  at::Tensor Attention(const Block& block, const at::Tensor& x, const at::Tensor& mask) const;
  at::Tensor Mixed(const at::Tensor& qkv, const at::Tensor& mask) const;
  at::Tensor FeedForward(const Block& block, const at::Tensor& x) const;

  EncoderConfig config_;
  EncoderNames names_;
  std::vector<Block> blocks_;
  bool prepacked_ = false;
};

}  // namespace palate::models
