#include "models/layers/activation.h"

#include <ATen/ATen.h>

#include <array>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/bytes.h"

namespace palate::models {
namespace {

struct ActivationRow {
  const char* name;
  Activation activation;
};
// The first row of an activation has the name that is written to configs.
constexpr std::array<ActivationRow, 8> kActivations = {
    {{"gelu", Activation::kGelu},
     {"gelu_pytorch_tanh", Activation::kGeluTanh},
     {"gelu_new", Activation::kGeluTanh},
     {"gelu_fast", Activation::kGeluTanh},
     {"quick_gelu", Activation::kQuickGelu},
     {"relu", Activation::kRelu},
     {"silu", Activation::kSilu},
     {"swish", Activation::kSilu}}};

}  // namespace

absl::StatusOr<Activation> ActivationFromName(absl::string_view name) {
  std::vector<absl::string_view> supported;
  for (const ActivationRow& row : kActivations) {
    if (name == row.name) return row.activation;
    supported.push_back(row.name);
  }

  return absl::UnimplementedError(absl::StrCat("activation ", QuoteForMessage(name),
                                               " is not supported; supported are ",
                                               absl::StrJoin(supported, ", ")));
}

absl::string_view ActivationName(Activation activation) {
  for (const ActivationRow& row : kActivations) {
    if (activation == row.activation) return row.name;
  }
  return "";
}

at::Tensor Activate(const at::Tensor& x, Activation activation) {
  constexpr double kQuickGeluSlope = 1.702;

  switch (activation) {
    case Activation::kGelu:
      return at::gelu(x);
    case Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case Activation::kQuickGelu:
      return x * at::sigmoid(x * kQuickGeluSlope);
    case Activation::kRelu:
      return at::relu(x);
    case Activation::kSilu:
      return at::silu(x);
  }
  return x;
}

}  // namespace palate::models
