// The activations that Hugging Face configs name in "hidden_act". Thread-safe.
#pragma once

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::models {

enum class Activation {
  kGelu,       // x Phi(x), exact
  kGeluTanh,   // approximates kGelu with a hyperbolic tangent
  kQuickGelu,  // x sigmoid(1.702 x)
  kRelu,
  kSilu
};

// Unimplemented naming `name` and the supported names. "gelu_new", "gelu_fast" and
// "gelu_pytorch_tanh" are the same function.
absl::StatusOr<Activation> ActivationFromName(absl::string_view name);
// The name to write into a config; kGeluTanh is "gelu_pytorch_tanh".
absl::string_view ActivationName(Activation activation);

// Returns a new tensor; differentiable.
at::Tensor Activate(const at::Tensor& x, Activation activation);

}  // namespace palate::models
