#include "offline/training/vision_task.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/checkpoint/checkpoint.h"
#include "offline/training/splits.h"
#include "tests/temp_folder.h"

namespace palate::training {
namespace {

std::string VisionFolder(const std::string& name) {
  static const TempFolder folder;
  return folder.file(name);
}

VisionTaskOptions TinyVisionTask() {
  VisionTaskOptions options;
  options.text =
      absl::StrCat(std::getenv("PALATE_BIN_DIR") != nullptr ? std::getenv("PALATE_BIN_DIR") : "bin",
                   "/../share/models/dual_encoder/text");
  options.cache = VisionFolder("cache");
  options.image_size = 16;
  options.patch_size = 8;
  options.hidden_size = 32;
  options.intermediate_size = 32;
  options.num_layers = 1;
  options.num_heads = 2;
  options.batch = 8;
  options.products = 16;
  options.validation_products = 8;
  return options;
}

TEST(SymmetricInfoNceTest, IsLeastWhenEveryPictureIsNearestToItsOwnText) {
  const at::Tensor rows = at::eye(4), scale = at::full({}, 10.0);
  const at::Tensor turned = rows.roll({1}, {0});

  EXPECT_LT(SymmetricInfoNce(rows, rows, scale).item<float>(), 0.01);
  EXPECT_GT(SymmetricInfoNce(rows, turned, scale).item<float>(), 5);
}

TEST(CaptionTest, SaysColorPatternMaterialAndKind) {
  demo::Product product;
  product.kind = "mug";
  product.material = "porcelain";
  product.color = "orange";
  product.pattern = "striped";

  EXPECT_EQ(CaptionOf(product), "an orange striped porcelain mug");

  product.kind = "sneakers";
  product.pattern = "plain";
  EXPECT_EQ(CaptionOf(product), "orange porcelain sneakers");
}

TEST(VisionTaskTest, LossGoesDownAndTheFolderLoadsWithEqualVectors) {
  VisionTaskOptions options = TinyVisionTask();
  if (!std::filesystem::exists(options.text + "/config.json"))
    GTEST_SKIP() << "no text tower in " << options.text;
  at::set_num_threads(1);

  const auto task = VisionTask::Create(options);
  ASSERT_TRUE(task.ok()) << task.status();
  const double before = (*task)->ComputeLoss(1000)->loss.item<double>();

  LoopOptions loop;
  loop.out = VisionFolder("model");
  loop.steps = 60;
  loop.peak_learning_rate = 3e-3;
  loop.warmup_steps = 5;

  const auto result = RunTraining(**task, loop);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT((*task)->ComputeLoss(1000)->loss.item<double>(), 0.9 * before);

  const auto checkpoint = models::Checkpoint::Open(VisionFolder("model"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto model = models::VitModel::Load(*checkpoint);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->config().output_dim(), 384);
  EXPECT_TRUE(models::ImageProcessor::Load(VisionFolder("model")).ok());
}

}  // namespace
}  // namespace palate::training
