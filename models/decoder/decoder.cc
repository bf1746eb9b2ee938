#include "models/decoder/decoder.h"

#include <ATen/ATen.h>

namespace palate::models {

// Rotary embedding for given positions: cos and sin are [tokens, 1, head_dim / 2], to broadcast
// over heads.
struct RopeRotation {
  at::Tensor cos;
  at::Tensor sin;

  // x: [tokens, heads, head_dim]. A pair consists of a dimension of the first half and its
  // counterpart in the second.
  at::Tensor operator()(const at::Tensor& x) const {
    const int64_t half = x.size(-1) / 2;
    const at::Tensor first = x.narrow(-1, 0, half);
    const at::Tensor second = x.narrow(-1, half, half);
    return at::cat({at::addcmul(first * cos, second, sin, /*value=*/-1),
                    at::addcmul(second * cos, first, sin)},
                   -1);
  }
};

namespace {

// `positions` is int64 [tokens] or [3, tokens]; `axes` is the position axis of each pair. Computes
// in float32.
RopeRotation RotationAt(const at::Tensor& positions, const at::Tensor& inverse_frequencies,
                        const at::Tensor& axes, double scale) {
  const at::Tensor by_pair =
      positions.dim() == 1 ? positions.unsqueeze(-1) : positions.index_select(0, axes).t();

  // [tokens, 1, head_dim / 2]
  const at::Tensor angles = (by_pair.to(at::kFloat) * inverse_frequencies).unsqueeze(1);
  return {.cos = angles.cos() * scale, .sin = angles.sin() * scale};
}

at::Tensor PositionsOf(const std::vector<int64_t>& lengths, const KvCache* cache) {
  std::vector<int64_t> positions;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const int64_t start = cache == nullptr ? 0 : cache->length(static_cast<int64_t>(i));
    for (int64_t j = 0; j < lengths[i]; ++j) positions.push_back(start + j);
  }
  return at::tensor(positions, at::kLong);
}

}  // namespace

PackedTokens PackTokens(absl::Span<const std::vector<int64_t>> sequences) {
  std::vector<int64_t> ids;
  PackedTokens packed;
  for (const std::vector<int64_t>& sequence : sequences) {
    ids.insert(ids.end(), sequence.begin(), sequence.end());
    packed.lengths.push_back(static_cast<int64_t>(sequence.size()));
  }
  packed.ids = at::tensor(ids, at::kLong);
  return packed;
}

// Products and attention are computed in the compute type. Everything between them (the residual
// stream, norms, rotation) is computed in float32, because a narrow type loses too much there. In a
// float32 model every cast below is a no-op.
at::Tensor DecoderModel::Run(at::Tensor x, const at::Tensor& positions, DecoderAttention& attention,
                             const DecoderInputs* inputs) const {
  const RopeRotation rotate = RotationAt(positions.to(device()), inverse_frequencies_, rope_axes_,
                                         config_.rope.attention_factor);

  x = x.to(at::kFloat);
  for (size_t i = 0; i < layers_.size(); ++i) {
    x = MlpBlock(i, AttentionBlock(i, x, rotate, attention));
    if (inputs != nullptr && i < inputs->deepstack.size()) {
      x = x.index_add(0, inputs->deepstack_rows.to(device()), inputs->deepstack[i].to(x.options()));
    }
  }

  return Norm(x, norm_).to(dtype());
}

// Over the last dimension.
at::Tensor DecoderModel::Norm(const at::Tensor& x, const at::Tensor& weight) const {
  return at::rms_norm(x, weight.sizes(), weight, config_.rms_norm_eps);
}

// Adds the product to the residual stream, fused if both have the same type.
at::Tensor DecoderModel::AddTo(const at::Tensor& residual, const Linear& linear,
                               const at::Tensor& x) const {
  return residual.scalar_type() == x.scalar_type() ? linear.Plus(x, residual)
                                                   : residual + linear(x);
}

at::Tensor DecoderModel::AttentionBlock(size_t index, const at::Tensor& x,
                                        const RopeRotation& rotate,
                                        DecoderAttention& attention) const {
  const Layer& layer = layers_[index];
  const Heads heads = Project(index, Norm(x, layer.input_norm).to(dtype()));
  at::Tensor q = heads.q.to(at::kFloat);
  at::Tensor k = heads.k.to(at::kFloat);
  if (config_.qk_norm) {
    q = Norm(q, layer.q_norm);
    k = Norm(k, layer.k_norm);
  }

  const at::Tensor mixed = attention.Attend(index, config_.WindowOf(index), rotate(q).to(dtype()),
                                            rotate(k).to(dtype()), heads.v);
  return packed_.empty() ? x + at::linear(mixed, layer.o_proj, layer.o_bias)
                         : AddTo(x, packed_[index].o, mixed);
}

DecoderModel::Heads DecoderModel::Project(size_t index, const at::Tensor& normed) const {
  const auto by_head = [&](const at::Tensor& x) {
    return x.view({x.size(0), -1, config_.head_dim});
  };
  if (packed_.empty()) {
    const Layer& layer = layers_[index];
    return {.q = by_head(at::linear(normed, layer.q_proj, layer.q_bias)),
            .k = by_head(at::linear(normed, layer.k_proj, layer.k_bias)),
            .v = by_head(at::linear(normed, layer.v_proj, layer.v_bias))};
  }

  const at::Tensor all = by_head(packed_[index].qkv(normed));
  const int64_t queries = config_.num_heads;
  const int64_t keys = config_.num_kv_heads;
  return {.q = all.narrow(1, 0, queries),
          .k = all.narrow(1, queries, keys),
          .v = all.narrow(1, queries + keys, keys)};
}

at::Tensor DecoderModel::MlpBlock(size_t index, const at::Tensor& x) const {
  const Layer& layer = layers_[index];
  const at::Tensor normed = Norm(x, layer.post_norm).to(dtype());
  if (packed_.empty()) {
    const at::Tensor gate = at::silu(at::linear(normed, layer.gate_proj, layer.gate_bias));
    return x + at::linear(gate * at::linear(normed, layer.up_proj, layer.up_bias), layer.down_proj,
                          layer.down_bias);
  }

  const PackedLayer& packed = packed_[index];
  return AddTo(x, packed.down, packed.up.Times(normed, packed.gate(normed)));
}

at::Tensor DecoderModel::Forward(const PackedTokens& tokens) const {
  PackedDecoderAttention attention(tokens.lengths);
  return Run(EmbedTokens(tokens.ids), PositionsOf(tokens.lengths, nullptr), attention, nullptr);
}

at::Tensor DecoderModel::Forward(const MaskedTokens& tokens) const {
  MaskedDecoderAttention attention(tokens.positions.to(device()), tokens.allowed.to(device()));
  return Run(EmbedTokens(tokens.ids.reshape({-1})), tokens.positions.reshape({-1}), attention,
             nullptr);
}

at::Tensor DecoderModel::Forward(const DecoderInputs& inputs) const {
  PackedDecoderAttention attention(inputs.lengths);
  return Run(inputs.embeddings.to(embedding_.options()), inputs.positions, attention, &inputs);
}

at::Tensor DecoderModel::Forward(const PackedTokens& tokens, KvCache& cache) const {
  CachedDecoderAttention attention(tokens.lengths, cache);
  at::Tensor hidden =
      Run(EmbedTokens(tokens.ids), PositionsOf(tokens.lengths, &cache), attention, nullptr);
  attention.Finish();
  return hidden;
}

at::Tensor DecoderModel::Forward(const DecoderInputs& inputs, KvCache& cache) const {
  CachedDecoderAttention attention(inputs.lengths, cache);
  at::Tensor hidden =
      Run(inputs.embeddings.to(embedding_.options()), inputs.positions, attention, &inputs);
  attention.Finish();
  return hidden;
}

KvCache DecoderModel::NewCache(int64_t batch, int64_t capacity) const {
  KvCache cache;
  cache.capacity_ = capacity;
  cache.lengths_.assign(static_cast<size_t>(batch), 0);
  const at::TensorOptions options = embedding_.options().requires_grad(false);
  for (size_t i = 0; i < layers_.size(); ++i) {
    cache.keys_.push_back(
        at::empty({batch, config_.num_kv_heads, capacity, config_.head_dim}, options));
    cache.values_.push_back(
        at::empty({batch, config_.num_kv_heads, capacity, config_.head_dim}, options));
  }

  return cache;
}

at::Tensor DecoderModel::EmbedTokens(const at::Tensor& ids) const {
  return at::embedding(embedding_, ids.to(device()));
}

at::Tensor DecoderModel::Logits(const at::Tensor& hidden) const {
  return at::linear(hidden, output()).to(at::kFloat);
}

at::Tensor DecoderModel::LabelLogits(const at::Tensor& hidden,
                                     absl::Span<const int64_t> token_ids) const {
  return at::linear(hidden.to(at::kFloat), OutputRows(token_ids));
}

at::Tensor DecoderModel::OutputRows(absl::Span<const int64_t> token_ids) const {
  const at::Tensor ids =
      at::tensor(at::ArrayRef<int64_t>(token_ids.data(), token_ids.size()), at::kLong);
  return output().index_select(0, ids.to(device())).to(at::kFloat);
}

}  // namespace palate::models
