// The usage examples in the headers of offline/training, compiled and run.
#include "tests/usage_examples.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status.h"
#include "offline/training/loop.h"
#include "tests/temp_folder.h"

namespace palate::training {
namespace {

// Moves one weight toward 1.
class OneWeightTask : public TrainingTask {
 public:
  std::vector<TrainedTensor> Tensors() override { return {{"weight", weight_}}; }
  absl::StatusOr<MicroBatch> ComputeLoss(int64_t) override {
    return MicroBatch{(weight_ - 1).square().sum(), 1, {}};
  }
  absl::StatusOr<Metrics> Validate() override { return Metrics{}; }
  absl::Status Save(const std::string&) override { return absl::OkStatus(); }

 private:
  at::Tensor weight_ = at::zeros({1}).set_requires_grad(true);
};

absl::Status UseLoop(TrainingTask& task, const std::string& folder) {
  LoopOptions options;
  options.out = folder;
  options.steps = 40;
  options.resume = true;
  PALATE_ASSIGN_OR_RETURN(const LoopResult result, RunTraining(task, options));

  EXPECT_TRUE(result.finished);
  EXPECT_EQ(result.steps_done, 40);
  return absl::OkStatus();
}

TEST(UsageExampleTest, Loop) {
  const TempFolder folder;

  OneWeightTask task;
  const absl::Status status = UseLoop(task, folder.path());
  EXPECT_TRUE(status.ok()) << status;
  ExpectTestHasExampleOf("offline/training/loop.h",
                         "tests/offline/training/usage_examples_test.cc");
}

}  // namespace
}  // namespace palate::training
