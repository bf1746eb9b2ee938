// Normalization over the last dimension. Thread-safe; for inference only, because no gradient
// passes through.
#pragma once

#include <ATen/core/Tensor.h>

namespace palate::models {

// Returns at::layer_norm of `x` ([.., width] in the compute type). May overwrite `x`, so no other
// tensor may share its memory. `weight` and `bias` are [width].
at::Tensor LayerNormInPlace(at::Tensor x, const at::Tensor& weight, const at::Tensor& bias,
                            double epsilon);

// The rows of `x` ([.., width]) as float32, scaled to unit length.
at::Tensor UnitRows(const at::Tensor& x);

}  // namespace palate::models
