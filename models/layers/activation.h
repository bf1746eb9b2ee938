// The activations that Hugging Face configs name in "hidden_act".
#pragma once

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::models {

enum class Activation {
  kGelu,       // x Phi(x), exact
  kGeluTanh,   // its approximation by a hyperbolic tangent
  kQuickGelu,  // x sigmoid(1.702 x)
  kRelu,
  kSilu
};

// Unimplemented naming `name` and what is supported. "gelu_new", "gelu_fast" and
// "gelu_pytorch_tanh" are one function.
absl::StatusOr<Activation> ActivationFromName(absl::string_view name);
// The config's spelling; kGeluTanh is "gelu_pytorch_tanh".
absl::string_view ActivationName(Activation activation);

// A new tensor; differentiable.
at::Tensor Activate(const at::Tensor& x, Activation activation);

}  // namespace palate::models
