// y = activation(x W^T + b) for inference. The weight is converted once to the layout of the
// processor's matrix kernels where that is faster.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "models/layers/activation.h"

namespace palate::models {

// Immutable after construction; thread-safe. Not differentiable. Prepacks float32 on the CPU, and
// bfloat16 if the processor has instructions for it. Other types and devices use ATen.
class Linear {
 public:
  Linear() = default;
  // `weight` is [out, in], `bias` is [out] or undefined. The activation is applied to the result.
  Linear(const at::Tensor& weight, const at::Tensor& bias,
         std::optional<Activation> activation = std::nullopt);

  // `x` is [..., in] in the weight's type; returns [..., out].
  at::Tensor operator()(const at::Tensor& x) const;
  // The same plus `residual` ([..., out]), added when the product is written. REQUIRES: no
  // activation.
  at::Tensor Plus(const at::Tensor& x, const at::Tensor& residual) const;
  // The same times `factor` ([..., out]), multiplied when the product is written. REQUIRES: no
  // activation.
  at::Tensor Times(const at::Tensor& x, const at::Tensor& factor) const;

 private:
  at::Tensor weight_;  // [out, in], or the same in oneDNN's blocked layout
  at::Tensor bias_;
  std::optional<Activation> activation_;
  bool prepacked_ = false;
};

}  // namespace palate::models
