// y = activation(x W^T + b) for inference, with the weight laid out once for the processor's matrix
// kernels where that pays.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "models/layers/activation.h"

namespace palate::models {

// Immutable after construction; thread-safe. Not differentiable. Float32, and bfloat16 where the
// processor computes with it, are prepacked on the CPU; other types and devices go through ATen.
class Linear {
 public:
  Linear() = default;
  // `weight` is [out, in], `bias` [out] or undefined. The activation is applied to the result.
  Linear(const at::Tensor& weight, const at::Tensor& bias,
         std::optional<Activation> activation = std::nullopt);

  // `x` is [..., in] in the weight's type; returns [..., out].
  at::Tensor operator()(const at::Tensor& x) const;
  // The same plus `residual` ([..., out]), added where the product is written. REQUIRES: no
  // activation.
  at::Tensor Plus(const at::Tensor& x, const at::Tensor& residual) const;
  // The same times `factor` ([..., out]), likewise.
  at::Tensor Times(const at::Tensor& x, const at::Tensor& factor) const;

 private:
  at::Tensor weight_;  // [out, in], or the same in oneDNN's blocked layout
  at::Tensor bias_;
  std::optional<Activation> activation_;
  bool prepacked_ = false;
};

}  // namespace palate::models
