#include "models/layers/norm.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "models/layers/norm_kernel.h"
#include "models/layers/parallel.h"

namespace palate::models {
namespace {

bool FitsKernel(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto plain = [](const at::Tensor& t) {
    return t.is_cpu() && t.scalar_type() == at::kFloat && t.is_contiguous();
  };
  return HasNormKernel() && plain(x) && plain(weight) && plain(bias);
}

}  // namespace

at::Tensor LayerNormInPlace(at::Tensor x, const at::Tensor& weight, const at::Tensor& bias,
                            double epsilon) {
  const int64_t width = weight.numel();
  if (!FitsKernel(x, weight, bias)) return at::layer_norm(x, {width}, weight, bias, epsilon);

  constexpr int64_t kFloatsPerTask = 32768;  // ATen's threshold for using another thread
  auto* const data = x.mutable_data_ptr<float>();
  const auto* const scale = weight.const_data_ptr<float>();
  const auto* const shift = bias.const_data_ptr<float>();

  at::parallel_for(0, x.numel() / width, std::max<int64_t>(1, kFloatsPerTask / width),
                   [&](int64_t begin, int64_t end) {
                     NormRows(data + begin * width, end - begin, width, scale, shift,
                              static_cast<float>(epsilon));
                   });
  return x;
}

at::Tensor UnitRows(const at::Tensor& x) {
  const at::Tensor wide = x.to(at::kFloat);
  return wide / wide.norm(2, {-1}, /*keepdim=*/true);
}

}  // namespace palate::models
