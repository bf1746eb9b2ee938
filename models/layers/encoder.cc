#include "models/layers/encoder.h"

#include <ATen/ATen.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "models/layers/attention.h"

namespace palate::models {

EncoderNames EncoderNames::Clip(const std::string& tower) {
  return {.prefix = tower + "encoder.layers.",
          .norm1 = "layer_norm1.",
          .query = "self_attn.q_proj.",
          .key = "self_attn.k_proj.",
          .value = "self_attn.v_proj.",
          .out = "self_attn.out_proj.",
          .norm2 = "layer_norm2.",
          .fc1 = "mlp.fc1.",
          .fc2 = "mlp.fc2."};
}

EncoderNames EncoderNames::Vit() {
  return {.prefix = "encoder.layer.",
          .norm1 = "layernorm_before.",
          .query = "attention.attention.query.",
          .key = "attention.attention.key.",
          .value = "attention.attention.value.",
          .out = "attention.output.dense.",
          .norm2 = "layernorm_after.",
          .fc1 = "intermediate.dense.",
          .fc2 = "output.dense."};
}

PreNormEncoder::PreNormEncoder(const EncoderConfig& config, EncoderNames names)
    : config_(config), names_(std::move(names)), blocks_(static_cast<size_t>(config.num_layers)) {}

void PreNormEncoder::AddParameters(ParameterList& list) {
  const int64_t hidden = config_.hidden_size;
  const Init normal = Init::Normal(config_.initializer_range);

  for (size_t i = 0; i < blocks_.size(); ++i) {
    Block& block = blocks_[i];
    const std::string prefix = absl::StrCat(names_.prefix, i, ".");
    const auto linear = [&](const std::string& name, int64_t out, int64_t in, at::Tensor& weight,
                            at::Tensor& bias) {
      AddLinear(list, prefix + name, out, in, weight, bias, normal);
    };
    const auto norm = [&](const std::string& name, at::Tensor& weight, at::Tensor& bias) {
      AddNorm(list, prefix + name, hidden, weight, bias);
    };

    norm(names_.norm1, block.norm1_weight, block.norm1_bias);
    linear(names_.query, hidden, hidden, block.q_weight, block.q_bias);
    linear(names_.key, hidden, hidden, block.k_weight, block.k_bias);
    linear(names_.value, hidden, hidden, block.v_weight, block.v_bias);
    linear(names_.out, hidden, hidden, block.out_weight, block.out_bias);
    norm(names_.norm2, block.norm2_weight, block.norm2_bias);
    linear(names_.fc1, config_.intermediate_size, hidden, block.fc1_weight, block.fc1_bias);
    linear(names_.fc2, hidden, config_.intermediate_size, block.fc2_weight, block.fc2_bias);
  }
}

void PreNormEncoder::Prepack(const Checkpoint& checkpoint) {
  for (Block& block : blocks_) {
    block.qkv = Linear(at::cat({block.q_weight, block.k_weight, block.v_weight}),
                       at::cat({block.q_bias, block.k_bias, block.v_bias}));
    block.out = Linear(block.out_weight, block.out_bias);
    block.fc1 = Linear(block.fc1_weight, block.fc1_bias, config_.activation);
    block.fc2 = Linear(block.fc2_weight, block.fc2_bias);

    for (at::Tensor* part :
         {&block.q_weight, &block.q_bias, &block.k_weight, &block.k_bias, &block.v_weight,
          &block.v_bias, &block.out_weight, &block.out_bias, &block.fc1_weight, &block.fc1_bias,
          &block.fc2_weight, &block.fc2_bias}) {
      part->reset();
    }

    checkpoint.ReleasePages();
  }
  prepacked_ = true;
}

// x plus the block's attention over norm1(x).
at::Tensor PreNormEncoder::Attention(const Block& block, const at::Tensor& x,
                                     const at::Tensor& mask) const {
  const at::Tensor normed = at::layer_norm(x, {config_.hidden_size}, block.norm1_weight,
                                           block.norm1_bias, config_.layer_norm_eps);
  if (prepacked_) return block.out.Plus(Mixed(block.qkv(normed), mask), x);

  const auto heads = [&](const at::Tensor& weight, const at::Tensor& bias) {
    return at::linear(normed, weight, bias)
        .view({x.size(0), x.size(1), config_.num_heads, -1})
        .transpose(1, 2);
  };

  const auto allowed = mask.defined() ? std::optional<at::Tensor>(mask) : std::nullopt;
  const at::Tensor mixed = at::scaled_dot_product_attention(
      heads(block.q_weight, block.q_bias), heads(block.k_weight, block.k_bias),
      heads(block.v_weight, block.v_bias), allowed);
  return x + at::linear(mixed.transpose(1, 2).reshape(x.sizes()), block.out_weight, block.out_bias);
}

// The attention over a joined product [batch, tokens, 3 * hidden]: [batch, tokens, hidden].
at::Tensor PreNormEncoder::Mixed(const at::Tensor& qkv, const at::Tensor& mask) const {
  const int64_t batch = qkv.size(0);
  const int64_t tokens = qkv.size(1);
  if (!mask.defined()) {
    const std::vector<int64_t> lengths(static_cast<size_t>(batch), tokens);
    return PackedAttention(qkv.view({batch * tokens, -1}), lengths, config_.num_heads)
        .view({batch, tokens, -1});
  }

  const at::Tensor parts =
      qkv.view({batch, tokens, 3, config_.num_heads, -1}).permute({2, 0, 3, 1, 4});
  const at::Tensor mixed = at::scaled_dot_product_attention(parts[0], parts[1], parts[2], mask);
  return mixed.transpose(1, 2).reshape({batch, tokens, -1});
}

// x plus the block's feed-forward over norm2(x).
at::Tensor PreNormEncoder::FeedForward(const Block& block, const at::Tensor& x) const {
  const at::Tensor normed = at::layer_norm(x, {config_.hidden_size}, block.norm2_weight,
                                           block.norm2_bias, config_.layer_norm_eps);
  if (prepacked_) return block.fc2.Plus(block.fc1(normed), x);

  const at::Tensor wide =
      Activate(at::linear(normed, block.fc1_weight, block.fc1_bias), config_.activation);
  return x + at::linear(wide, block.fc2_weight, block.fc2_bias);
}

at::Tensor PreNormEncoder::operator()(const at::Tensor& x, const at::Tensor& mask) const {
  at::Tensor states = x;
  for (const Block& block : blocks_) states = FeedForward(block, Attention(block, states, mask));
  return states;
}

}  // namespace palate::models
