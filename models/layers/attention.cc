#include "models/layers/attention.h"

#include <ATen/ATen.h>

#include <atomic>
#include <vector>

#include "models/layers/attention_kernel.h"
#include "models/layers/parallel.h"

namespace palate::models {
namespace {

at::Tensor AttendByRuns(const at::Tensor& qkv, absl::Span<const int64_t> lengths,
                        int64_t num_heads) {
  const int64_t hidden = qkv.size(1) / 3;
  const int64_t head_dim = hidden / num_heads;
  at::Tensor out = at::empty({qkv.size(0), hidden}, qkv.options());
  int64_t start = 0;

  for (size_t i = 0; i < lengths.size();) {
    size_t end = i + 1;
    while (end < lengths.size() && lengths[end] == lengths[i]) ++end;
    const auto batch = static_cast<int64_t>(end - i);
    const int64_t rows = batch * lengths[i];

    // [3, batch, heads, tokens, head_dim]
    const at::Tensor split = qkv.narrow(0, start, rows)
                                 .view({batch, lengths[i], 3, num_heads, head_dim})
                                 .permute({2, 0, 3, 1, 4});
    const at::Tensor mixed = at::scaled_dot_product_attention(split[0], split[1], split[2]);
    out.narrow(0, start, rows)
        .view({batch, lengths[i], num_heads, head_dim})
        .copy_(mixed.transpose(1, 2));
    start += rows;
    i = end;
  }

  return out;
}

// A task is one sequence, or one head if there are few sequences. The heads of a sequence are
// computed one after the other, because they share its rows in the cache. Threads take the next
// task when they are ready, because neither tasks nor cores are equally fast. `Element` is the
// kernel's type for the elements of `qkv`.
template <typename Element>
at::Tensor AttendByHeads(const at::Tensor& qkv, absl::Span<const int64_t> lengths,
                         int64_t num_heads) {
  const int64_t hidden = qkv.size(1) / 3;
  const int64_t head_dim = hidden / num_heads;

  std::vector<int64_t> starts(lengths.size());
  for (size_t i = 1; i < lengths.size(); ++i) starts[i] = starts[i - 1] + lengths[i - 1];
  at::Tensor out = at::empty({qkv.size(0), hidden}, qkv.options());
  const auto* const in = static_cast<const Element*>(qkv.const_data_ptr());
  auto* const to = static_cast<Element*>(out.mutable_data_ptr());

  const auto sequences = static_cast<int64_t>(lengths.size());
  const int64_t threads = at::get_num_threads();
  const int64_t heads_per_task = sequences >= 4 * threads ? num_heads : 1;
  const int64_t heads = num_heads * sequences;

  std::atomic<int64_t> next = 0;
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    std::vector<float> scratch;
    for (int64_t first = next.fetch_add(heads_per_task); first < heads;
         first = next.fetch_add(heads_per_task)) {
      for (int64_t i = first; i < first + heads_per_task; ++i) {
        const auto sequence = static_cast<size_t>(i / num_heads);
        const int64_t column = i % num_heads * head_dim;
        const Element* const query = in + starts[sequence] * 3 * hidden + column;
        AttendHead(HeadTask<Element>{.query = query,
                                     .key = query + hidden,
                                     .value = query + 2 * hidden,
                                     .stride = 3 * hidden,
                                     .out = to + starts[sequence] * hidden + column,
                                     .out_stride = hidden,
                                     .length = lengths[sequence],
                                     .head_dim = head_dim},
                   scratch);
      }
    }
  });

  return out;
}

}  // namespace

at::Tensor PackedAttention(const at::Tensor& qkv, absl::Span<const int64_t> lengths,
                           int64_t num_heads) {
  const bool own_kernel = qkv.is_cpu() && HasAttentionKernel(qkv.size(1) / 3 / num_heads);

  if (own_kernel && qkv.scalar_type() == at::kFloat)
    return AttendByHeads<float>(qkv, lengths, num_heads);
  if (own_kernel && qkv.scalar_type() == at::kBFloat16)
    return AttendByHeads<uint16_t>(qkv, lengths, num_heads);
  return AttendByRuns(qkv, lengths, num_heads);
}

at::Tensor ByHead(const at::Tensor& x, int64_t batch, int64_t tokens) {
  return x.reshape({batch, tokens, x.size(1), x.size(2)}).transpose(1, 2);
}

}  // namespace palate::models
