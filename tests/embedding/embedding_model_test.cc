#include "embedding/embedding_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/embedding/dual_encoder_folder.h"
#include "tests/temp_folder.h"

namespace palate::embedding {
namespace {

using ::testing::HasSubstr;

class EmbeddingModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!folder_.exists()) GTEST_SKIP() << "the goldens are absent";
  }
  std::string FingerprintOf(const std::string& space) {
    const auto model = EmbeddingModel::Load(folder_.path());
    EXPECT_TRUE(model.ok()) << model.status();
    return (*model)->info().FindSpace(space)->fingerprint;
  }
  void ExpectError(absl::StatusCode code, const std::string& part) {
    const auto model = EmbeddingModel::Load(folder_.path());
    EXPECT_EQ(model.status().code(), code) << model.status();
    EXPECT_THAT(std::string(model.status().message()), HasSubstr(part));
  }
  DualEncoderFolder folder_;
};

TEST_F(EmbeddingModelTest, DualEncoderServesThreeSpaces) {
  folder_.WriteVision();
  const auto model = EmbeddingModel::Load(folder_.path());
  ASSERT_TRUE(model.ok()) << model.status();
  const ModelInfo& info = (*model)->info();

  EXPECT_EQ(info.name, "small");
  EXPECT_EQ(info.dimensions, 64);
  EXPECT_EQ(info.max_text_tokens, 64);
  EXPECT_EQ(info.image_size, 32);
  ASSERT_EQ(info.spaces.size(), 3u);
  for (const SpaceInfo& space : info.spaces) {
    EXPECT_TRUE(space.available);
    EXPECT_EQ(space.fingerprint.size(), 16u);
  }

  EXPECT_EQ(info.FindSpace("image")->calibration.mean, 0.3);
  EXPECT_NEAR(info.FindSpace("fused")->calibration.mean, 0.15, 1e-12);
  EXPECT_EQ(info.FindSpace("audio"), nullptr);
}

TEST_F(EmbeddingModelTest, CalibrationOfTextsAgainstImagesMayBeAbsent) {
  folder_.WriteVision();
  const auto without = EmbeddingModel::Load(folder_.path());
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_FALSE((*without)->info().FindSpace("image")->text_calibration.has_value());

  folder_.WriteDualEncoderJson(
      {{"calibration", {{"text_to_image", {{"mean", 0.2}, {"deviation", 0.1}}}}}});
  const auto with = EmbeddingModel::Load(folder_.path());
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_EQ((*with)->info().FindSpace("image")->text_calibration->mean, 0.2);
}

TEST_F(EmbeddingModelTest, AutomaticTypeIsMeasuredOnceAndSaysWhy) {
  const TempFolder memory;
  EmbeddingModelOptions options;
  options.dtype = "auto";
  options.race_file = memory.path() + "/types";
  const auto first = EmbeddingModel::Load(folder_.path(), options);
  ASSERT_TRUE(first.ok()) << first.status();
  const ModelInfo& info = (*first)->info();
  EXPECT_THAT(info.dtype, testing::AnyOf("fp32", "bf16"));
  EXPECT_FALSE(info.dtype_reason.empty());

  // The second load takes what the first one measured, so that vectors stay comparable.
  const auto second = EmbeddingModel::Load(folder_.path(), options);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ((*second)->info().dtype, info.dtype);
  EXPECT_EQ((*second)->info().dtype_reason, info.dtype_reason);
  EXPECT_EQ((*second)->info().FindSpace("text")->fingerprint, info.FindSpace("text")->fingerprint);

  const auto given = EmbeddingModel::Load(folder_.path());
  ASSERT_TRUE(given.ok());
  EXPECT_EQ((*given)->info().dtype_reason, "");
}

TEST_F(EmbeddingModelTest, DualEncoderWithoutVisionWeightsServesTextOnly) {
  const auto model = EmbeddingModel::Load(folder_.path());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE((*model)->info().FindSpace("text")->available);
  EXPECT_FALSE((*model)->info().FindSpace("image")->available);
  EXPECT_FALSE((*model)->info().FindSpace("fused")->available);
}

TEST_F(EmbeddingModelTest, PlainSentenceEncoderServesTextOnly) {
  const auto model = EmbeddingModel::Load(folder_.file("text"));
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_EQ((*model)->info().spaces.size(), 1u);
  EXPECT_EQ((*model)->info().name, "text");
  // The text vectors of the dual encoder are the same, so they are comparable.
  EXPECT_EQ((*model)->info().spaces[0].fingerprint, FingerprintOf("text"));
}

TEST_F(EmbeddingModelTest, FingerprintsFollowExactlyWhatTheVectorsDependOn) {
  folder_.WriteVision();
  const std::string text = FingerprintOf("text");
  const std::string image = FingerprintOf("image");
  const std::string fused = FingerprintOf("fused");

  folder_.WriteVision(64, /*seed=*/2);
  EXPECT_EQ(FingerprintOf("text"), text);
  EXPECT_NE(FingerprintOf("image"), image);
  EXPECT_NE(FingerprintOf("fused"), fused);
  folder_.WriteVision();
  EXPECT_EQ(FingerprintOf("fused"), fused);

  folder_.WriteDualEncoderJson({{"fusion", {{"text", 0.5}}}});
  EXPECT_EQ(FingerprintOf("image"), image);
  EXPECT_NE(FingerprintOf("fused"), fused);
  folder_.WriteDualEncoderJson({{"vision", {{"pooling", "mean"}}}});
  EXPECT_NE(FingerprintOf("image"), image);
  folder_.WriteDualEncoderJson({{"calibration", {{"image", {{"mean", 0.7}}}}}});
  EXPECT_EQ(FingerprintOf("fused"), fused) << "calibration changes no vector";
}

TEST_F(EmbeddingModelTest, CutVectorsHaveAnotherFingerprint) {
  const SpaceInfo space = {
      .name = "text", .fingerprint = "abc", .available = true, .calibration = {}};
  EXPECT_EQ(FingerprintFor(space, 384, 384), "abc");
  EXPECT_EQ(FingerprintFor(space, 128, 384), "abc@128");
}

TEST_F(EmbeddingModelTest, CorruptVisionWeightsAreAnErrorAndNotSilence) {
  folder_.WriteVision();
  models::WriteAll(folder_.file("vision/model.safetensors"), "garbage that is long enough");
  ExpectError(absl::StatusCode::kDataLoss, "vision/model.safetensors");
}

TEST_F(EmbeddingModelTest, UnknownPoolingIsRefused) {
  folder_.WriteVision();
  folder_.WriteDualEncoderJson({{"vision", {{"pooling", "max"}}}});
  ExpectError(absl::StatusCode::kInvalidArgument, "neither cls nor mean");
}

TEST_F(EmbeddingModelTest, TowersOfDifferentDimensionsAreRefused) {
  folder_.WriteVision(/*dimensions=*/32);
  ExpectError(absl::StatusCode::kInvalidArgument,
              "produces vectors of 32 dimensions, but the text tower's have 64");
}

TEST_F(EmbeddingModelTest, ProcessorThatDoesNotFitTheModelIsRefused) {
  folder_.WriteVision();
  nlohmann::json input = models::Golden::Read(folder_.file("vision/preprocessor_config.json"));
  input["size"] = {{"height", 16}, {"width", 16}};
  models::WriteAll(folder_.file("vision/preprocessor_config.json"), input.dump());

  ExpectError(absl::StatusCode::kInvalidArgument, "pictures of 16 x 16");
}

TEST_F(EmbeddingModelTest, DualEncoderWithAConseHeadServesThreeSpaces) {
  folder_.WriteConse();
  const auto model = EmbeddingModel::Load(folder_.path());
  ASSERT_TRUE(model.ok()) << model.status();
  const ModelInfo& info = (*model)->info();

  EXPECT_EQ(info.image_size, 96);
  EXPECT_EQ(info.dimensions, 64);
  for (const SpaceInfo& space : info.spaces) EXPECT_TRUE(space.available) << space.name;
  EXPECT_TRUE(info.unknown_config_keys.empty());
}

TEST_F(EmbeddingModelTest, FingerprintFollowsTheHeadAndItsProcessor) {
  folder_.WriteConse();
  const std::string text = FingerprintOf("text");
  const std::string image = FingerprintOf("image");

  folder_.WriteConse(64, DualEncoderFolder::kClasses, /*seed=*/2);
  EXPECT_EQ(FingerprintOf("text"), text);
  EXPECT_NE(FingerprintOf("image"), image);
  folder_.WriteConse();
  EXPECT_EQ(FingerprintOf("image"), image);
  folder_.WriteProcessor("head", 128);
  EXPECT_NE(FingerprintOf("image"), image);
}

TEST_F(EmbeddingModelTest, HeadThatDoesNotFitIsRefusedByWhatDiffers) {
  folder_.WriteConse(/*dimensions=*/32);
  ExpectError(absl::StatusCode::kInvalidArgument,
              "head produces vectors of 32 dimensions, but the text tower's have 64");
  folder_.WriteConse(64, /*classes=*/7);
  ExpectError(absl::StatusCode::kInvalidArgument, "vectors of 7 classes");
  folder_.WriteConse();
  folder_.WriteProcessor("head", 95);
  ExpectError(absl::StatusCode::kInvalidArgument, "pictures of 95 x 95; the head needs");

  folder_.WriteConse();
  folder_.WriteDualEncoderJson({{"vision", {{"pooling", nullptr}}}});
  ExpectError(absl::StatusCode::kInvalidArgument, "\"head\"");
  folder_.WriteConse();
  std::filesystem::remove_all(folder_.file("head"));
  ExpectError(absl::StatusCode::kNotFound, "head/config.json");
}

TEST_F(EmbeddingModelTest, TowerOfAnotherFamilyIsRefusedByItsName) {
  models::CopyFolder(folder_.file("text"), folder_.file("vision"));
  ExpectError(absl::StatusCode::kUnimplemented, "which is not an image tower");
}

TEST_F(EmbeddingModelTest, DualEncoderJsonErrorsNameTheKey) {
  folder_.WriteDualEncoderJson({{"fusion", nullptr}});
  ExpectError(absl::StatusCode::kInvalidArgument, "lacks the key \"fusion\"");
  folder_.WriteDualEncoderJson({{"format", 2}});
  ExpectError(absl::StatusCode::kInvalidArgument, "\"format\" is 2");
  folder_.WriteDualEncoderJson({{"calibration", {{"text", {{"deviation", 0}}}}}});
  ExpectError(absl::StatusCode::kInvalidArgument, "deviation is not above 0");
  folder_.WriteDualEncoderJson({{"dimensions", 65}});
  ExpectError(absl::StatusCode::kInvalidArgument, "\"dimensions\" is 65");
  models::WriteAll(folder_.file("dual_encoder.json"), "{");
  ExpectError(absl::StatusCode::kInvalidArgument, "dual_encoder.json is not valid JSON");
}

TEST_F(EmbeddingModelTest, MissingTextTowerIsNotFound) {
  std::filesystem::remove_all(folder_.file("text"));
  ExpectError(absl::StatusCode::kNotFound, "text/config.json");
}

TEST(BuiltinEmbeddingModelTest, BuiltInDualEncoderDescriptionIsValid) {
  const auto description = models::JsonConfig::Load(std::string(PALATE_SOURCE_DIR) +
                                                    "/assets/dual_encoder/dual_encoder.json");
  ASSERT_TRUE(description.ok()) << description.status();
  EXPECT_EQ(*description->Int("dimensions"), 384);
}

}  // namespace
}  // namespace palate::embedding
