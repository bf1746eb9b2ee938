#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/image/processor.h"
#include "tests/models/golden_tensors.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

class GoldenProcessorTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenProcessorTest, PixelsEqualTheReference) {
  const Golden golden("preprocess-images");
  PALATE_SKIP_WITHOUT(golden);
  const auto processor = ImageProcessor::Load(golden.checkpoint() + "/" + GetParam());
  ASSERT_TRUE(processor.ok()) << processor.status();

  const TensorMap expected = ReferenceTensors(golden);
  const auto inputs = golden.inputs();
  for (const std::string name : inputs["images"]) {
    const auto pixels = processor->Process(ImageOf(expected.at("decoded/" + name)));
    ASSERT_TRUE(pixels.ok()) << pixels.status();
    ExpectClose(pixels->unsqueeze(0),
                expected.at(std::string(GetParam()) + "/" + name + "/pixel_values"), 1e-5, name);
  }
}

INSTANTIATE_TEST_SUITE_P(FixedSizes, GoldenProcessorTest,
                         ::testing::Values("clip", "clip_pad_crop", "siglip", "siglip_bilinear"));

absl::StatusOr<ImageProcessorConfig> Read(const std::string& json) {
  return ImageProcessorConfig::FromJson(*JsonConfig::Parse(json, "preprocessor_config.json"));
}

TEST(ImageProcessorConfigTest, SurvivesTheRoundTripThroughItsFile) {
  ImageProcessorConfig config;
  config.resize_height = config.resize_width = 64;
  config.mean = config.std = {0.5, 0.25, 0.125};
  const auto read = Read(config.ToJson().dump());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->ToJson(), config.ToJson());
  EXPECT_EQ(read->resize_height, 64);
  EXPECT_FALSE(read->do_center_crop);
}

TEST(ImageProcessorConfigTest, ReadsTheOlderSpelling) {
  const auto read =
      Read(R"({"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 30})");

  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->shortest_edge, 32);
  EXPECT_EQ(read->crop_width, 30);
}

TEST(ImageProcessorConfigTest, NamesWhatItDoesNotSupport) {
  const auto type = Read(R"({"image_processor_type": "Qwen2VLImageProcessor"})").status();
  EXPECT_EQ(type.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(type.message()), HasSubstr("Qwen2VL"));

  EXPECT_EQ(Read(R"({"image_processor_type": "ViTImageProcessor", "resample": 0})").status().code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(
      Read(R"({"image_processor_type": "ViTImageProcessor", "size": {"height": -3, "width": 4}})")
          .status()
          .code(),
      absl::StatusCode::kInvalidArgument);
}

TEST(ImageProcessorConfigTest, RefusesSettingsItDoesNotCompute) {
  const auto message = [](const std::string& json) {
    return std::string(Read(json).status().message());
  };
  EXPECT_THAT(
      message(
          R"({"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 8, "longest_edge": 9}})"),
      HasSubstr("longest_edge"));
  EXPECT_THAT(message(R"({"image_processor_type": "ViTImageProcessor", "do_pad": true})"),
              HasSubstr("do_pad"));
}

TEST(ImageProcessorConfigTest, TakesAPlainSizeAsItsClassDoes) {
  const auto vit = Read(R"({"image_processor_type": "ViTImageProcessor", "size": 32})");
  EXPECT_EQ(vit->resize_height, 32);
  const auto siglip = Read(R"({"image_processor_type": "SiglipImageProcessorFast", "size": 32})");
  EXPECT_EQ(siglip->shortest_edge, 32);
}

TEST(ImageProcessorTest, TakesTheTypeOfTheModelWhereTheFileNamesNone) {
  const TempFolder folder;
  WriteAll(folder.file("preprocessor_config.json"),
           R"({"do_normalize": true, "size": 24, "image_mean": [0.5, 0.5, 0.5]})");
  EXPECT_EQ(ImageProcessor::Load(folder.path()).status().code(), absl::StatusCode::kUnimplemented);
  WriteAll(folder.file("config.json"), R"({"model_type": "vit"})");

  const auto processor = ImageProcessor::Load(folder.path());
  ASSERT_TRUE(processor.ok()) << processor.status();
  EXPECT_EQ(processor->config().resize_height, 24);
}

TEST(ImageProcessorTest, RefusesAnAbsurdAspectWhereTheShorterSideIsScaled) {
  const auto processor =
      ImageProcessor::Create(*Read(R"({"image_processor_type": "CLIPImageProcessor"})"));

  ASSERT_TRUE(processor.ok());
  Image image{.width = 100'000, .height = 1};
  image.rgb.resize(300'000);

  EXPECT_EQ(processor->Process(image).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ImageProcessorTest, ScalesOnePixelToAFullInput) {
  const auto processor =
      ImageProcessor::Create(*Read(R"({"image_processor_type": "ViTImageProcessor", "size": 16})"));
  const auto pixels = processor->Process(Image{.width = 1, .height = 1, .rgb = {255, 0, 128}});

  ASSERT_TRUE(pixels.ok());
  EXPECT_EQ(pixels->sizes(), (std::vector<int64_t>{3, 16, 16}));
  EXPECT_FLOAT_EQ((*pixels)[0][7][7].item<float>(), 1.0f);
  EXPECT_FLOAT_EQ((*pixels)[1][0][0].item<float>(), -1.0f);
}

}  // namespace
}  // namespace palate::models
