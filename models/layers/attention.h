// Attention over several packed sequences: they are concatenated without padding, and each token
// attends to all tokens of its own sequence. Thread-safe.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "absl/types/span.h"

namespace palate::models {

// `qkv` is contiguous [tokens, 3 * hidden]: the queries, keys and values of all heads, as one
// joined product computes them. `lengths` are the sequences' lengths; their sum is `tokens`.
// Softmax over query·key / sqrt(hidden / num_heads). Returns [tokens, hidden] in the type of `qkv`.
// Not differentiable.
//
// Float32 and bfloat16 (computed in float32) on processors with AVX-512 use our own kernel,
// parallel over sequences and heads. Everything else uses at::scaled_dot_product_attention, with
// one call per run of equal lengths.
at::Tensor PackedAttention(const at::Tensor& qkv, absl::Span<const int64_t> lengths,
                           int64_t num_heads);

// Converts [batch * tokens, heads, dim] to [batch, heads, tokens, dim], as a view or a copy.
at::Tensor ByHead(const at::Tensor& x, int64_t batch, int64_t tokens);

}  // namespace palate::models
