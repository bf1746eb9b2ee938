#include "models/layers/linear.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

namespace palate::models {
namespace {

using Scalars = c10::List<c10::optional<at::Scalar>>;
using ReorderOp = at::Tensor(const at::Tensor& weight, c10::optional<int64_t> batch_size);
using PointwiseOp = at::Tensor(const at::Tensor& x, const at::Tensor& weight, const c10::optional<at::Tensor>& bias,
                               c10::string_view activation, Scalars scalars, c10::optional<c10::string_view> algorithm);

// oneDNN's kernels over prepacked weights. They have no C++ function in ATen's interface, only an entry in the
// dispatcher; a build of LibTorch without them is served by at::linear.
struct Prepacked {
  c10::optional<c10::TypedOperatorHandle<ReorderOp>> reorder;
  c10::optional<c10::TypedOperatorHandle<PointwiseOp>> linear;

  Prepacked() {
    const auto reorder_schema = c10::Dispatcher::singleton().findSchema({"mkldnn::_reorder_linear_weight", ""});
    const auto linear_schema = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
    if (!at::globalContext().userEnabledMkldnn() || !reorder_schema.has_value() || !linear_schema.has_value()) return;
    reorder = reorder_schema->typed<ReorderOp>();
    linear = linear_schema->typed<PointwiseOp>();
  }
};

const Prepacked& PrepackedOps() {
  static const Prepacked ops;
  return ops;
}

}  // namespace

Linear::Linear(const at::Tensor& weight, const at::Tensor& bias, LinearActivation activation)
    : weight_(weight), bias_(bias), activation_(activation), prepacked_(PrepackedOps().linear.has_value()) {
  if (prepacked_) weight_ = PrepackedOps().reorder->call(weight, c10::nullopt);
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  const bool gelu = activation_ == LinearActivation::kGelu;
  if (prepacked_) {
    const c10::optional<at::Tensor> bias = bias_.defined() ? c10::optional<at::Tensor>(bias_) : c10::nullopt;
    const c10::optional<c10::string_view> algorithm = gelu ? c10::optional<c10::string_view>("none") : c10::nullopt;
    return PrepackedOps().linear->call(x, weight_, bias, gelu ? "gelu" : "none", Scalars(), algorithm);
  }
  at::Tensor y = at::linear(x, weight_, bias_);
  if (gelu) at::gelu_(y);
  return y;
}

}  // namespace palate::models
