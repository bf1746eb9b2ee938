// A stack of pre-norm transformer blocks, as ViT, CLIP and SigLIP have it:
//   x += attention(norm1(x));  x += fc2(activation(fc1(norm2(x))))
//
// One implementation serves and trains. Trained or untouched weights go through ATen's
// differentiable operations; Prepack() lays them out for inference on the processor.
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

// What a checkpoint calls the parts of block i: `prefix` + i + "." + part + "weight" or "bias".
struct EncoderNames {
  std::string prefix;
  std::string norm1, query, key, value, out, norm2, fc1, fc2;

  // The names of CLIP and SigLIP under `tower`, such as "text_model.".
  static EncoderNames Clip(const std::string& tower);
  // The names of ViTModel.
  static EncoderNames Vit();
};

// Thread-safe once the weights are set. ATen's exceptions pass through.
class PreNormEncoder {
 public:
  PreNormEncoder() = default;
  PreNormEncoder(const EncoderConfig& config, EncoderNames names);
  // Parameters() points into the object.
  PreNormEncoder(const PreNormEncoder&) = delete;
  PreNormEncoder& operator=(const PreNormEncoder&) = delete;

  // Appends the blocks' parameters; `list` must not outlive this object.
  void AddParameters(ParameterList& list);

  // Joins query, key and value and prepacks the products for inference; the parts are given up, so
  // Parameters and training are over. The pages of `checkpoint`, whose weights these are, are let
  // go block by block.
  void Prepack(const Checkpoint& checkpoint);

  // `x` is [batch, tokens, hidden] in the weights' type; `mask` is undefined, or boolean and
  // broadcast to [batch, heads, tokens, tokens], true where a token may look. Returns the last
  // block's output, not normed.
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
