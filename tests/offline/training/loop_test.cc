#include "offline/training/loop.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>

#include <limits>

#include "gtest/gtest.h"
#include "tests/temp_folder.h"

namespace palate::training {
namespace {

// Fits y = x W to data that follows from the batch's index.
class LinearTask : public TrainingTask {
 public:
  LinearTask() : weight_(at::zeros({4, 3}).set_requires_grad(true)) {}

  std::vector<TrainedTensor> Tensors() override { return {{"weight", weight_}}; }

  absl::StatusOr<MicroBatch> ComputeLoss(int64_t index) override {
    if (index == broken_at)
      return MicroBatch{weight_.sum() * std::numeric_limits<float>::infinity(), 1, {}};
    const at::Generator generator =
        at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(index));
    const at::Tensor x = at::randn({8, 4}, generator);
    const at::Tensor truth = at::arange(12, at::kFloat).view({4, 3});
    return MicroBatch{(at::matmul(x, weight_) - at::matmul(x, truth)).square().mean(), 8, {}};
  }
  absl::StatusOr<Metrics> Validate() override {
    return Metrics{{"first", weight_[0][0].item<double>()}};
  }
  absl::Status Save(const std::string&) override { return absl::OkStatus(); }

  const at::Tensor& weight() const { return weight_; }
  int64_t broken_at = -1;

 private:
  at::Tensor weight_;
};

LoopOptions Options(const std::string& out, int64_t steps) {
  LoopOptions options;
  options.out = out;
  options.steps = steps;
  options.peak_learning_rate = 0.3;
  options.warmup_steps = 5;
  options.accumulation = 2;
  return options;
}

TEST(TrainingLoopTest, LossGoesDownOnALinearTask) {
  LinearTask task;
  const double before = task.ComputeLoss(1000)->loss.item<double>();
  const TempFolder folder;
  const auto result = RunTraining(task, Options(folder.file("out"), 200));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->finished);

  EXPECT_LT(task.ComputeLoss(1000)->loss.item<double>(), 0.05 * before);
}

TEST(TrainingLoopTest, ResumedRunEqualsUninterruptedRunBitForBit) {
  at::set_num_threads(1);
  LinearTask whole;
  const TempFolder folder;
  ASSERT_TRUE(RunTraining(whole, Options(folder.file("whole"), 40)).ok());

  LoopOptions options = Options(folder.file("halves"), 40);
  {
    LinearTask first;
    options.step_limit = 17;
    const auto result = RunTraining(first, options);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->steps_done, 17);
    EXPECT_FALSE(result->finished);
  }

  LinearTask second;
  options.step_limit = 0;
  options.resume = true;
  const auto result = RunTraining(second, options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->steps_done, 40);
  EXPECT_TRUE(at::equal(second.weight(), whole.weight()));
}

TEST(TrainingLoopTest, FailsNamingTheStepWhenTheLossIsNotFinite) {
  LinearTask task;

  task.broken_at = 6;
  const TempFolder folder;
  const auto result = RunTraining(task, Options(folder.file("out"), 40));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInternal);
  EXPECT_NE(result.status().message().find("step 3"), std::string::npos) << result.status();
}

TEST(TrainingLoopTest, RefusesOptionsOutOfRangeNamingTheField) {
  LinearTask task;
  const TempFolder folder;
  const auto result = RunTraining(task, Options(folder.file("out"), 0));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(result.status().message().find("steps"), std::string::npos);
}

TEST(LearningRateTest, WarmsUpThenFallsToItsFinalShare) {
  LoopOptions options = Options("unused", 105);
  EXPECT_NEAR(LearningRateAt(options, 0), 0.06, 1e-9);
  EXPECT_NEAR(LearningRateAt(options, 4), 0.3, 1e-9);
  EXPECT_NEAR(LearningRateAt(options, 5), 0.3, 1e-9);
  EXPECT_LT(LearningRateAt(options, 60), LearningRateAt(options, 30));
  EXPECT_NEAR(LearningRateAt(options, 105), 0.3 * 0.05, 1e-9);
}

}  // namespace
}  // namespace palate::training
