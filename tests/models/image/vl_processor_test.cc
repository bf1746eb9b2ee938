#include "models/image/vl_processor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/models/golden_tensors.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

Image Black(int64_t width, int64_t height) {
  Image image{.width = width, .height = height};
  image.rgb.resize(static_cast<size_t>(3 * width * height));
  return image;
}

absl::StatusOr<VlProcessorConfig> ReadVl(const std::string& json) {
  return VlProcessorConfig::FromJson(*JsonConfig::Parse(json, "preprocessor_config.json"));
}

VlImageProcessor ProcessorOf(const std::string& json) {
  return *VlImageProcessor::Create(*ReadVl(json));
}

class GoldenVlProcessorTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenVlProcessorTest, PatchesAndGridsEqualTheReference) {
  const Golden golden("preprocess-images");
  PALATE_SKIP_WITHOUT(golden);
  const auto processor = VlImageProcessor::Load(golden.checkpoint() + "/" + GetParam());
  ASSERT_TRUE(processor.ok()) << processor.status();

  const TensorMap expected = ReferenceTensors(golden);
  const auto inputs = golden.inputs();
  for (const std::string name : inputs["images"]) {
    const Image image = ImageOf(expected.at("decoded/" + name));

    const auto patches = processor->Process(image);
    ASSERT_TRUE(patches.ok()) << patches.status();

    const std::string key = std::string(GetParam()) + "/" + name;
    EXPECT_EQ(Ids(expected.at(key + "/image_grid_thw")),
              (std::vector<int64_t>{patches->grid_t, patches->grid_h, patches->grid_w}))
        << name;
    ExpectClose(patches->pixel_values, expected.at(key + "/pixel_values"), 1e-5, name);

    EXPECT_EQ(processor->TokensFor({.height = image.height, .width = image.width}).value(),
              patches->patches() / 4)
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(DynamicSizes, GoldenVlProcessorTest,
                         ::testing::Values("qwen2_5_vl", "qwen3_vl"));

TEST(VlProcessorConfigTest, ReadsBothSpellingsOfThePixelBudget) {
  const auto by_area = ReadVl(
      R"({"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 4096, "max_pixels": 1843200})");

  ASSERT_TRUE(by_area.ok()) << by_area.status();
  EXPECT_EQ(by_area->budget.min_pixels, 4096);
  EXPECT_EQ(by_area->budget.max_pixels, 1843200);

  const auto by_edge = ReadVl(
      R"({"image_processor_type": "Qwen2VLImageProcessorFast", "min_pixels": null, "max_pixels": null,
                                "size": {"shortest_edge": 65536, "longest_edge": 16777216}})");
  ASSERT_TRUE(by_edge.ok()) << by_edge.status();

  EXPECT_EQ(by_edge->budget.min_pixels, 65536);
  EXPECT_EQ(by_edge->budget.max_pixels, 16777216);

  const auto both =
      ReadVl(R"({"image_processor_type": "Qwen2_5_VLImageProcessor", "max_pixels": 5000,
                             "size": {"shortest_edge": 100, "longest_edge": 6000}})");
  ASSERT_TRUE(both.ok()) << both.status();

  EXPECT_EQ(both->budget.min_pixels, 100);
  EXPECT_EQ(both->budget.max_pixels, 5000);
}

TEST(VlProcessorConfigTest, TakesTheClassesValuesForKeysLeftOut) {
  const auto config = ReadVl(R"({"image_processor_type": "Qwen2VLImageProcessor"})");

  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->budget.min_pixels, 3136);
  EXPECT_EQ(config->budget.max_pixels, 1003520);
  EXPECT_EQ(config->patch_size, 14);
  EXPECT_DOUBLE_EQ(config->mean[0], 0.48145466);
}

TEST(VlProcessorConfigTest, NamesWhatIsWrong) {
  const auto message = [](const std::string& json) {
    return std::string(ReadVl(json).status().message());
  };
  EXPECT_THAT(message(R"({"image_processor_type": "CLIPImageProcessor"})"), HasSubstr("\"CLIP\""));
  EXPECT_THAT(
      message(R"({"image_processor_type": "Qwen2VLImageProcessor", "size": {"height": 4}})"),
      HasSubstr("shortest_edge"));
  EXPECT_THAT(message(R"({"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 0})"),
              HasSubstr("min_pixels"));

  EXPECT_FALSE(
      VlImageProcessor::Create(
          *ReadVl(
              R"({"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 9, "max_pixels": 8})"))
          .ok());
  EXPECT_FALSE(VlImageProcessor::Create(
                   *ReadVl(R"({"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 0})"))
                   .ok());
}

TEST(VlImageProcessorTest, LoadsASettingThatIsNestedOrNamesNoType) {
  const TempFolder nested;
  WriteAll(
      nested.file("processor_config.json"),
      R"({"processor_class": "Qwen3VLProcessor", "image_processor": {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 16}})");
  const auto from_nested = VlImageProcessor::Load(nested.path());
  ASSERT_TRUE(from_nested.ok()) << from_nested.status();
  EXPECT_EQ(from_nested->config().patch_size, 16);

  const TempFolder untyped;
  WriteAll(untyped.file("preprocessor_config.json"), R"({"patch_size": 16})");
  WriteAll(untyped.file("config.json"), R"({"model_type": "qwen3_vl"})");
  EXPECT_TRUE(VlImageProcessor::Load(untyped.path()).ok());
  EXPECT_EQ(VlImageProcessor::Load(TempFolder().path()).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(SmartResizeTest, KeepsSidesMultiplesWithinTheBudget) {
  const PixelBudget budget = {.min_pixels = 3136, .max_pixels = 100'000};
  for (const ImageSize& size :
       std::vector<ImageSize>{{1, 1}, {3, 2}, {14, 14}, {42, 70}, {4000, 3000}, {100, 9999}}) {
    const auto resized = SmartResize(size, 28, budget);
    ASSERT_TRUE(resized.ok()) << resized.status();
    EXPECT_EQ(resized->height % 28, 0);
    EXPECT_EQ(resized->width % 28, 0);
    EXPECT_GE(resized->height * resized->width, budget.min_pixels);
    EXPECT_LE(resized->height * resized->width, budget.max_pixels);
  }

  // A half is rounded to the even multiple: 42 is 1.5 times 28 and becomes 2 times, 70 is 2.5 times
  // and becomes 2 times as well.
  const auto halves = SmartResize({.height = 42, .width = 70}, 28, budget);
  EXPECT_EQ(halves->height, 56);
  EXPECT_EQ(halves->width, 56);
}

TEST(SmartResizeTest, RefusesAnAbsurdAspect) {
  EXPECT_TRUE(
      SmartResize({.height = 1, .width = 200}, 28, {.min_pixels = 3136, .max_pixels = 100'000})
          .ok());

  const auto refused =
      SmartResize({.height = 1, .width = 201}, 28, {.min_pixels = 3136, .max_pixels = 100'000})
          .status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refused.message(), "is 201 x 1: one side may be at most 200 times the other");
}

TEST(VlImageProcessorTest, WritesBlocksRowByRowAndRepeatsTheImageInTime) {
  // Four blocks of 2 x 2 patches of 2 x 2 pixels; the value of each pixel is its index.
  const VlImageProcessor processor =
      ProcessorOf(R"({"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 2,
                                                     "do_resize": false, "do_rescale": false, "do_normalize": false})");

  Image image = Black(8, 8);
  for (int64_t i = 0; i < 64; ++i) {
    for (int64_t c = 0; c < 3; ++c)
      image.rgb[static_cast<size_t>(3 * i + c)] = static_cast<uint8_t>(64 * c + i);
  }

  const auto patches = processor.Process(image);
  ASSERT_TRUE(patches.ok()) << patches.status();
  ASSERT_EQ(patches->pixel_values.sizes(), (std::vector<int64_t>{16, 24}));

  const auto top_left = [&](int64_t patch) {
    return patches->pixel_values[patch][0].item<float>();
  };

  EXPECT_EQ(top_left(0), 0);
  EXPECT_EQ(top_left(1), 2);      // the next patch of the block
  EXPECT_EQ(top_left(2), 2 * 8);  // the block's second row
  EXPECT_EQ(top_left(4), 4);      // the next block
  EXPECT_EQ(top_left(8), 4 * 8);  // the second row of blocks
  EXPECT_EQ(top_left(15), 6 * 9);

  const at::Tensor row = patches->pixel_values[0].view({3, 2, 2, 2});  // channel, slot, y, x
  EXPECT_TRUE(row.select(1, 0).equal(row.select(1, 1)));
  EXPECT_EQ(row[2][0][1][1].item<float>(), 128 + 9);
}

TEST(VlImageProcessorTest, HonorsTheCallersBudget) {
  const VlImageProcessor processor =
      ProcessorOf(R"({"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 16})");

  const Image image = Black(2000, 1500);
  const PixelBudget small = {.min_pixels = 4096, .max_pixels = 20'000};

  const auto patches = processor.Process(image, small);
  ASSERT_TRUE(patches.ok()) << patches.status();
  EXPECT_LE(patches->patches() * 16 * 16, small.max_pixels);
  EXPECT_GT(processor.Process(image)->patches(), patches->patches());

  EXPECT_EQ(processor.TokensFor({.height = 1500, .width = 2000}, small).value(),
            patches->patches() / 4);
  EXPECT_FALSE(processor.Process(image, PixelBudget{.min_pixels = 10, .max_pixels = 5}).ok());
}

TEST(VlImageProcessorTest, RefusesWhatItCannotCut) {
  const VlImageProcessor resizing =
      ProcessorOf(R"({"image_processor_type": "Qwen2VLImageProcessor"})");

  EXPECT_EQ(resizing.Process(Black(100'000, 1)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(resizing.Process(Image{.width = 5, .height = 5}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(resizing.TokensFor({.height = 0, .width = 4}).ok());

  const VlImageProcessor fixed =
      ProcessorOf(R"({"image_processor_type": "Qwen2VLImageProcessor", "do_resize": false})");
  EXPECT_THAT(std::string(fixed.Process(Black(30, 28)).status().message()),
              HasSubstr("multiples of 28"));
  EXPECT_TRUE(fixed.Process(Black(56, 28)).ok());
}

}  // namespace
}  // namespace palate::models
