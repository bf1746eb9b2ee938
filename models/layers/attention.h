// Attention among the tokens of each of several sequences that lie end to end, without padding and
// without a mask.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "absl/types/span.h"

namespace palate::models {

// `qkv` is contiguous [tokens, 3 * hidden]: the queries, keys and values of all heads side by side,
// as one joined product gives them; `lengths` are the sequences' and sum up to `tokens`. Softmax
// over query·key / sqrt(hidden / num_heads). Returns [tokens, hidden] in the type of `qkv`. Not
// differentiable.
//
// Float32 and bfloat16 (computed in float32) on processors with AVX-512 run our own kernel,
// parallel over sequences and heads; everything else goes through at::scaled_dot_product_attention,
// one call for each run of equal lengths.
at::Tensor PackedAttention(const at::Tensor& qkv, absl::Span<const int64_t> lengths,
                           int64_t num_heads);

// [batch * tokens, heads, dim] to a view, or copy, of [batch, heads, tokens, dim].
at::Tensor ByHead(const at::Tensor& x, int64_t batch, int64_t tokens);

}  // namespace palate::models
