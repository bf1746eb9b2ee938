#include "models/layers/norm.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <tuple>

namespace palate::models {
namespace {

// The number of rows and the width.
class LayerNormInPlaceTest : public ::testing::TestWithParam<std::tuple<int64_t, int64_t>> {
 protected:
  LayerNormInPlaceTest() { at::manual_seed(5); }

  const c10::InferenceMode inference_;
};

TEST_P(LayerNormInPlaceTest, MatchesFloat64) {
  const auto [rows, width] = GetParam();
  // Far from zero, where a variance computed from squares would lose its digits.
  const at::Tensor x = at::randn({rows, width}) * 3 + 50;
  const at::Tensor weight = at::randn({width});
  const at::Tensor bias = at::randn({width});

  const at::Tensor expected = at::layer_norm(x.to(at::kDouble), {width}, weight.to(at::kDouble),
                                             bias.to(at::kDouble), 1e-12);

  const at::Tensor normed = LayerNormInPlace(x.clone(), weight, bias, 1e-12);
  EXPECT_LT((normed.to(at::kDouble) - expected).abs().max().item<double>(), 5e-5);
}

TEST_P(LayerNormInPlaceTest, KeepsBfloat16) {
  const auto [rows, width] = GetParam();
  const at::Tensor x = at::randn({rows, width}).to(at::kBFloat16);
  const at::Tensor weight = at::ones({width}, at::kBFloat16);
  const at::Tensor bias = at::zeros({width}, at::kBFloat16);

  const at::Tensor expected = at::layer_norm(x, {width}, weight, bias, 1e-5);
  const at::Tensor normed = LayerNormInPlace(x.clone(), weight, bias, 1e-5);

  EXPECT_EQ(normed.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(normed, expected));
}

// Widths of whole registers, of less than one, and of whole ones and a part; one row, and enough
// rows for several threads.
INSTANTIATE_TEST_SUITE_P(Shapes, LayerNormInPlaceTest,
                         ::testing::Values(std::make_tuple(1, 384), std::make_tuple(700, 384),
                                           std::make_tuple(5, 7), std::make_tuple(9, 100)));

}  // namespace
}  // namespace palate::models
