// y = x W^T + b for inference, with the weight laid out once for the processor's matrix kernels where that pays.
#pragma once

#include <ATen/core/Tensor.h>

namespace palate::models {

enum class LinearActivation { kNone, kGelu };

// Immutable after construction; thread-safe. Float32 on the CPU. Not differentiable.
class Linear {
 public:
  Linear() = default;
  // `weight` is [out, in], `bias` [out] or undefined. The activation is applied to the result.
  Linear(const at::Tensor& weight, const at::Tensor& bias, LinearActivation activation = LinearActivation::kNone);

  // `x` is [n, in]; returns [n, out].
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor weight_;  // [out, in], or the same in oneDNN's blocked layout
  at::Tensor bias_;
  LinearActivation activation_ = LinearActivation::kNone;
  bool prepacked_ = false;
};

}  // namespace palate::models
