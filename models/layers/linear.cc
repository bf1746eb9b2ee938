#include "models/layers/linear.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

namespace palate::models {
namespace {

using OptionalTensor = std::optional<at::Tensor>;
using Scalars = c10::List<std::optional<at::Scalar>>;
using ReorderOp = at::Tensor(const at::Tensor& weight, std::optional<int64_t> batch_size);
using PointwiseOp = at::Tensor(const at::Tensor& x, const at::Tensor& weight,
                               const OptionalTensor& bias, c10::string_view activation,
                               Scalars scalars, std::optional<c10::string_view> algorithm);
using BinaryOp = at::Tensor(const at::Tensor& x, const at::Tensor& other, const at::Tensor& weight,
                            const OptionalTensor& bias, c10::string_view operation);

// oneDNN's kernels over prepacked weights. ATen has no C++ functions for them, only entries in the
// dispatcher. In a build of LibTorch without them at::linear is used.
struct Prepacked {
  std::optional<c10::TypedOperatorHandle<ReorderOp>> reorder;
  std::optional<c10::TypedOperatorHandle<PointwiseOp>> linear;
  std::optional<c10::TypedOperatorHandle<BinaryOp>> linear_binary;

  Prepacked() {
    auto& dispatcher = c10::Dispatcher::singleton();
    const auto reorder_schema = dispatcher.findSchema({"mkldnn::_reorder_linear_weight", ""});
    const auto linear_schema = dispatcher.findSchema({"mkldnn::_linear_pointwise", ""});
    const auto binary_schema = dispatcher.findSchema({"mkldnn::_linear_pointwise", "binary"});

    if (!at::globalContext().userEnabledMkldnn()) return;
    if (!reorder_schema.has_value() || !linear_schema.has_value() || !binary_schema.has_value())
      return;
    reorder = reorder_schema->typed<ReorderOp>();
    linear = linear_schema->typed<PointwiseOp>();
    linear_binary = binary_schema->typed<BinaryOp>();
  }
};

const Prepacked& PrepackedOps() {
  static const Prepacked ops;
  return ops;
}

bool CanPrepack(const at::Tensor& weight) {
  if (!weight.is_cpu() || !PrepackedOps().linear.has_value()) return false;
  if (weight.scalar_type() == at::kFloat) return true;
  // The instructions that oneDNN's bfloat16 kernels require. Without them ATen's own product is
  // faster.
  return weight.scalar_type() == at::kBFloat16 && __builtin_cpu_supports("avx512bf16");
}

// oneDNN's name for an activation that it can fuse into the product.
struct FusedActivation {
  const char* name = "none";
  std::optional<c10::string_view> algorithm = std::nullopt;
  bool fused = true;
};

FusedActivation Fused(const std::optional<Activation>& activation) {
  if (!activation.has_value()) return {};
  switch (*activation) {
    case Activation::kGelu:
      return {.name = "gelu", .algorithm = "none"};
    case Activation::kGeluTanh:
      return {.name = "gelu", .algorithm = "tanh"};
    case Activation::kRelu:
      return {.name = "relu"};
    case Activation::kSilu:
      return {.name = "swish"};
    case Activation::kQuickGelu:
      break;
  }
  return {.fused = false};
}

}  // namespace

Linear::Linear(const at::Tensor& weight, const at::Tensor& bias,
               std::optional<Activation> activation)
    : weight_(weight), bias_(bias), activation_(activation), prepacked_(CanPrepack(weight)) {
  if (prepacked_) weight_ = PrepackedOps().reorder->call(weight, std::nullopt);
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  if (!prepacked_) {
    const at::Tensor y = at::linear(x, weight_, bias_);
    return activation_.has_value() ? Activate(y, *activation_) : y;
  }

  const FusedActivation fused = Fused(activation_);
  const OptionalTensor bias = bias_.defined() ? OptionalTensor(bias_) : std::nullopt;
  at::Tensor y =
      PrepackedOps().linear->call(x, weight_, bias, fused.name, Scalars(), fused.algorithm);
  return fused.fused ? y : Activate(y, *activation_);
}

at::Tensor Linear::Plus(const at::Tensor& x, const at::Tensor& residual) const {
  if (!prepacked_) return at::linear(x, weight_, bias_) + residual;
  const OptionalTensor bias = bias_.defined() ? OptionalTensor(bias_) : std::nullopt;
  return PrepackedOps().linear_binary->call(x, residual, weight_, bias, "add");
}

at::Tensor Linear::Times(const at::Tensor& x, const at::Tensor& factor) const {
  if (!prepacked_) return at::linear(x, weight_, bias_) * factor;
  const OptionalTensor bias = bias_.defined() ? OptionalTensor(bias_) : std::nullopt;
  return PrepackedOps().linear_binary->call(x, factor, weight_, bias, "mul");
}

}  // namespace palate::models
