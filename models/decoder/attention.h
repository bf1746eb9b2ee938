// Attention of one forward pass of a decoder, in three forms: packed sequences, a mask from the
// caller, or sequences that continue a cache. Internal to models/decoder, except KvCache.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace palate::models {

// Keys and values of a batch of sequences, for decoding, in the compute type. Created by
// DecoderModel::NewCache. For one thread at a time.
class KvCache {
 public:
  int64_t batch_size() const { return static_cast<int64_t>(lengths_.size()); }
  int64_t capacity() const { return capacity_; }
  // Number of tokens of sequence `i` in the cache.
  int64_t length(int64_t i) const { return lengths_[static_cast<size_t>(i)]; }
  // Copies these sequences, in this order, to a new cache: to drop finished ones, or to repeat one
  // for several continuations.
  KvCache Select(absl::Span<const int64_t> sequences) const;

 private:
  friend class DecoderModel;
  friend class CachedDecoderAttention;
  int64_t capacity_ = 0;
  std::vector<int64_t> lengths_;    // [batch]
  std::vector<at::Tensor> keys_;    // per layer: [batch, kv_heads, capacity, head_dim]
  std::vector<at::Tensor> values_;  // per layer, of the same shape
};

// The attention of one forward pass. Lives as long as the pass; for one thread.
class DecoderAttention {
 public:
  virtual ~DecoderAttention() = default;
  // `q` is [tokens, heads, head_dim], `k` and `v` are [tokens, kv_heads, head_dim], with rotary
  // positions applied. Returns [tokens, heads * head_dim]. Called once per layer, in order.
  // `window` is the layer's sliding window, 0 for none.
  virtual at::Tensor Attend(size_t layer, int64_t window, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v) = 0;
};

// Adjacent sequences that are computed as one batch.
struct SequenceRun {
  int64_t first = 0;   // index of the first sequence
  int64_t batch = 0;   // number of sequences
  int64_t start = 0;   // first row
  int64_t tokens = 0;  // of each sequence
  int64_t seen = 0;    // tokens of each sequence that the cache already has
};

// Causal within each sequence.
class PackedDecoderAttention final : public DecoderAttention {
 public:
  explicit PackedDecoderAttention(const std::vector<int64_t>& lengths);
  at::Tensor Attend(size_t layer, int64_t window, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v) override;

 private:
  const std::vector<SequenceRun> runs_;
};

// With the mask of MaskedTokens (decoder.h): `positions` [batch, tokens], `allowed` [batch, tokens,
// tokens].
class MaskedDecoderAttention final : public DecoderAttention {
 public:
  MaskedDecoderAttention(const at::Tensor& positions, const at::Tensor& allowed)
      : positions_(positions), allowed_(allowed) {}
  at::Tensor Attend(size_t layer, int64_t window, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v) override;

 private:
  const at::Tensor positions_;
  const at::Tensor allowed_;
};

// Causal over the tokens in `cache` and the new ones, which are appended to it. Finish() updates
// the cache's lengths at the end of the pass.
class CachedDecoderAttention final : public DecoderAttention {
 public:
  CachedDecoderAttention(const std::vector<int64_t>& lengths, KvCache& cache);
  at::Tensor Attend(size_t layer, int64_t window, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v) override;
  void Finish();

 private:
  at::Tensor AttendRun(const SequenceRun& run, int64_t window, const at::Tensor& q,
                       const at::Tensor& keys, const at::Tensor& values) const;

  const std::vector<int64_t> lengths_;
  KvCache& cache_;
  const std::vector<SequenceRun> runs_;
};

}  // namespace palate::models
