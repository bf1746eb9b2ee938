#include "models/decoder/attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "models/layers/attention.h"

namespace palate::models {
namespace {

// [batch, heads, tokens, dim] to [batch * tokens, heads * dim].
at::Tensor Flat(const at::Tensor& x) {
  return x.transpose(1, 2).reshape({x.size(0) * x.size(2), x.size(1) * x.size(3)});
}

// Repeats keys or values for every query head: [batch, kv_heads, tokens, dim] to [batch, heads,
// tokens, dim].
at::Tensor RepeatHeads(const at::Tensor& x, int64_t heads) {
  const int64_t groups = heads / x.size(1);
  if (groups == 1) return x;
  return x.unsqueeze(2)
      .expand({x.size(0), x.size(1), groups, x.size(2), x.size(3)})
      .reshape({x.size(0), heads, x.size(2), x.size(3)});
}

// Grouped-query attention. Only the GPU kernel without a mask supports groups; the others need one
// key head per query head.
at::Tensor Grouped(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                   const std::optional<at::Tensor>& mask, bool causal) {
  const bool takes_groups = q.is_cuda() && !mask.has_value();
  return at::scaled_dot_product_attention(q, takes_groups ? k : RepeatHeads(k, q.size(1)),
                                          takes_groups ? v : RepeatHeads(v, q.size(1)), mask,
                                          /*dropout_p=*/0.0, causal, /*scale=*/std::nullopt,
                                          /*enable_gqa=*/takes_groups);
}

// Which of the `seen + tokens` keys the last `tokens` positions see: [tokens, seen + tokens].
at::Tensor CausalMask(int64_t tokens, int64_t seen, int64_t window, const at::Device& device) {
  const at::Tensor earlier =
      at::ones({tokens, seen + tokens}, at::TensorOptions().dtype(at::kBool).device(device))
          .tril(seen);
  return window == 0 ? earlier : earlier.triu(seen - window + 1);
}

std::vector<SequenceRun> FindRuns(const std::vector<int64_t>& lengths,
                                  const std::vector<int64_t>* seen) {
  std::vector<SequenceRun> runs;
  int64_t start = 0;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const int64_t before = seen == nullptr ? 0 : (*seen)[i];

    if (runs.empty() || runs.back().tokens != lengths[i] || runs.back().seen != before) {
      runs.push_back({.first = static_cast<int64_t>(i),
                      .batch = 0,
                      .start = start,
                      .tokens = lengths[i],
                      .seen = before});
    }
    ++runs.back().batch;
    start += lengths[i];
  }
  return runs;
}

at::Tensor Join(const std::vector<at::Tensor>& parts) {
  return parts.size() == 1 ? parts[0] : at::cat(parts, 0);
}

}  // namespace

KvCache KvCache::Select(absl::Span<const int64_t> sequences) const {
  KvCache result;
  result.capacity_ = capacity_;
  for (int64_t i : sequences) result.lengths_.push_back(length(i));

  const at::Tensor rows =
      at::tensor(at::ArrayRef<int64_t>(sequences.data(), sequences.size()), at::kLong)
          .to(keys_.at(0).device());

  for (const at::Tensor& keys : keys_) result.keys_.push_back(keys.index_select(0, rows));
  for (const at::Tensor& values : values_) result.values_.push_back(values.index_select(0, rows));
  return result;
}

PackedDecoderAttention::PackedDecoderAttention(const std::vector<int64_t>& lengths)
    : runs_(FindRuns(lengths, nullptr)) {}

at::Tensor PackedDecoderAttention::Attend(size_t, int64_t window, const at::Tensor& q,
                                          const at::Tensor& k, const at::Tensor& v) {
  std::vector<at::Tensor> parts;
  for (const SequenceRun& run : runs_) {
    const auto part = [&](const at::Tensor& x) {
      return ByHead(x.narrow(0, run.start, run.batch * run.tokens), run.batch, run.tokens);
    };

    const bool windowed = window > 0 && window < run.tokens;
    std::optional<at::Tensor> mask;
    if (windowed) mask = CausalMask(run.tokens, 0, window, q.device());
    parts.push_back(Flat(Grouped(part(q), part(k), part(v), mask, /*causal=*/!windowed)));
  }
  return Join(parts);
}

at::Tensor MaskedDecoderAttention::Attend(size_t, int64_t window, const at::Tensor& q,
                                          const at::Tensor& k, const at::Tensor& v) {
  const int64_t batch = positions_.size(0);
  const int64_t tokens = positions_.size(1);
  at::Tensor allowed = allowed_;
  if (window > 0)
    allowed = allowed.logical_and((positions_.unsqueeze(2) - positions_.unsqueeze(1)) < window);

  // One mask for all heads.
  return Flat(Grouped(ByHead(q, batch, tokens), ByHead(k, batch, tokens), ByHead(v, batch, tokens),
                      allowed.unsqueeze(1), /*causal=*/false));
}

CachedDecoderAttention::CachedDecoderAttention(const std::vector<int64_t>& lengths, KvCache& cache)
    : lengths_(lengths), cache_(cache), runs_(FindRuns(lengths, &cache.lengths_)) {}

at::Tensor CachedDecoderAttention::Attend(size_t layer, int64_t window, const at::Tensor& q,
                                          const at::Tensor& k, const at::Tensor& v) {
  std::vector<at::Tensor> parts;
  for (const SequenceRun& run : runs_) {
    const auto part = [&](const at::Tensor& x) {
      return ByHead(x.narrow(0, run.start, run.batch * run.tokens), run.batch, run.tokens);
    };

    const auto extend = [&](const at::Tensor& stored, const at::Tensor& x) {
      const at::Tensor rows = stored.narrow(0, run.first, run.batch);
      rows.narrow(2, run.seen, run.tokens).copy_(part(x));
      // [batch, kv_heads, seen + tokens, head_dim]
      return rows.narrow(2, 0, run.seen + run.tokens);
    };

    parts.push_back(AttendRun(run, window, part(q), extend(cache_.keys_[layer], k),
                              extend(cache_.values_[layer], v)));
  }
  return Join(parts);
}

at::Tensor CachedDecoderAttention::AttendRun(const SequenceRun& run, int64_t window,
                                             const at::Tensor& q, const at::Tensor& keys,
                                             const at::Tensor& values) const {
  const int64_t all = run.seen + run.tokens;
  if (run.tokens == 1) {
    // A single query sees everything in its window. Therefore the query heads of a group can take
    // the place of positions, and keys need not be repeated.
    const int64_t visible = window > 0 ? std::min(window, all) : all;
    const at::Tensor grouped = q.reshape({run.batch, keys.size(1), -1, q.size(3)});
    return at::scaled_dot_product_attention(grouped, keys.narrow(2, all - visible, visible),
                                            values.narrow(2, all - visible, visible))
        .reshape({run.batch, -1});
  }

  const bool windowed = window > 0 && window < all;
  if (run.seen == 0 && !windowed)
    return Flat(Grouped(q, keys, values, std::nullopt, /*causal=*/true));
  return Flat(Grouped(q, keys, values,
                      CausalMask(run.tokens, run.seen, windowed ? window : 0, q.device()),
                      /*causal=*/false));
}

void CachedDecoderAttention::Finish() {
  for (size_t i = 0; i < lengths_.size(); ++i) cache_.lengths_[i] += lengths_[i];
}

}  // namespace palate::models
