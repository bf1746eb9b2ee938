// Normalization over the last dimension.
#pragma once

#include <ATen/core/Tensor.h>

namespace palate::models {

// What at::layer_norm gives for `x`, [.., width] in the compute type; `x` itself may be
// overwritten, so it must be the caller's own. `weight` and `bias` are [width]. Thread-safe. For
// inference: no gradient passes through it.
at::Tensor LayerNormInPlace(at::Tensor x, const at::Tensor& weight, const at::Tensor& bias,
                            double epsilon);

// The rows of `x` ([.., width]) as float32 of unit length.
at::Tensor UnitRows(const at::Tensor& x);

}  // namespace palate::models
