#include "offline/training/adamw.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>

#include "gtest/gtest.h"

namespace palate::training {
namespace {

TrainedTensor Vector(const std::string& name, double value) {
  return {name, at::full({2}, value, at::kFloat).set_requires_grad(true)};
}

TEST(AdamWTest, FirstStepMovesByTheLearningRateWhateverTheGradientsSize) {
  const TrainedTensor parameter = Vector("norm.weight", 1);
  AdamW optimizer({parameter}, AdamWOptions());

  optimizer.ZeroGrad();
  (parameter.tensor * 300).sum().backward();
  optimizer.Step(0.125);

  EXPECT_NEAR(parameter.tensor[0].item<float>(), 0.875, 1e-5);
}

TEST(AdamWTest, DecaysMatricesOnlyWhenGradientsAreZero) {
  const TrainedTensor matrix{"layer.weight", at::ones({2, 2}).set_requires_grad(true)};
  const TrainedTensor norm = Vector("norm.weight", 1);
  const TrainedTensor table{"embed_tokens.weight", at::ones({2, 2}).set_requires_grad(true)};

  AdamW optimizer({matrix, norm, table}, {.weight_decay = 0.5});
  optimizer.ZeroGrad();
  ((matrix.tensor.sum() + norm.tensor.sum() + table.tensor.sum()) * 0).backward();
  optimizer.Step(0.1);

  EXPECT_NEAR(matrix.tensor[0][0].item<float>(), 0.95, 1e-6);
  EXPECT_EQ(norm.tensor[0].item<float>(), 1);
  EXPECT_EQ(table.tensor[0][0].item<float>(), 1);
}

TEST(AdamWTest, ClipScalesTheJointNormAndReportsTheOneBefore) {
  const TrainedTensor a = Vector("a", 1), b = Vector("b", 1);
  AdamW optimizer({a, b}, AdamWOptions());

  optimizer.ZeroGrad();
  ((a.tensor * 3).sum() + (b.tensor * 4).sum()).backward();

  EXPECT_NEAR(optimizer.ClipGradNorm(1), std::sqrt(50.0), 1e-5);
  EXPECT_NEAR(a.tensor.grad()[0].item<float>(), 3 / std::sqrt(50.0), 1e-5);
}

TEST(AdamWTest, RefusesAStateOfAnotherShapeAndChangesNothing) {
  const TrainedTensor small = Vector("a", 1);
  const TrainedTensor large{"a", at::zeros({3}).set_requires_grad(true)};
  AdamW optimizer({small}, AdamWOptions());
  const AdamW other({large}, AdamWOptions());

  EXPECT_EQ(optimizer.Restore(other.State()).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(small.tensor[0].item<float>(), 1);
}

}  // namespace
}  // namespace palate::training
