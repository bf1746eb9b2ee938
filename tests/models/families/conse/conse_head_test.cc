#include "models/families/conse/conse_head.h"

#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "models/image/image.h"
#include "tests/models/golden_tensors.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A head with random weights, and its outputs as offline/training/image_head computes them in
// float64.
std::string GoldenFile(const std::string& name) {
  return std::string(PALATE_SOURCE_DIR) + "/tests/models/families/conse/golden/" + name;
}

// The feature maps of the golden: a formula, since the maps themselves would be large.
at::Tensor GoldenMaps(const at::Tensor& scales) {
  const int64_t pictures = scales.size(0);
  const at::Tensor index = at::arange(pictures * 1280 * 81, at::kLong);
  const at::Tensor value = (index * 7919).remainder(1009).to(at::kDouble) / 1009 * 6 - 3;
  return (value.clamp_min(0).view({pictures, 1280, 9, 9}) *
          scales.to(at::kDouble).view({-1, 1, 1, 1}))
      .to(at::kFloat);
}

Image Solid(std::array<uint8_t, 3> color, int64_t width, int64_t height) {
  Image image{.width = width, .height = height};
  for (int64_t i = 0; i < width * height; ++i)
    image.rgb.insert(image.rgb.end(), color.begin(), color.end());
  return image;
}

class ConseHeadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto checkpoint = Checkpoint::Open(GoldenFile(""));
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    auto head = ConseHead::Load(*checkpoint);
    ASSERT_TRUE(head.ok()) << head.status();
    head_ = *head;
    expected_ = *LoadTensors(GoldenFile("expected.safetensors"));
    maps_ = GoldenMaps(expected_.at("map_scales"));
  }

  at::Tensor Embed(const at::Tensor& maps) const {
    return head_->Embed(maps, expected_.at("logits"), expected_.at("histograms"));
  }

  // The status of loading the golden's head after `change`.
  absl::Status LoadChanged(const std::function<void(TensorMap&, nlohmann::json&)>& change) {
    const TempFolder folder;
    TensorMap tensors = *LoadTensors(GoldenFile("model.safetensors"));
    nlohmann::json config = Golden::Read(GoldenFile("config.json"));
    change(tensors, config);
    EXPECT_TRUE(SaveTensors(tensors, folder.file("model.safetensors")).ok());
    WriteAll(folder.file("config.json"), config.dump());
    return ConseHead::Load(*Checkpoint::Open(folder.path())).status();
  }

  void ExpectRefused(const nlohmann::json& config_change, const std::string& part) {
    const absl::Status status =
        LoadChanged([&](TensorMap&, nlohmann::json& config) { config.merge_patch(config_change); });
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << config_change;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("config.json"), HasSubstr(part)));
  }

  const c10::InferenceMode inference_;
  std::shared_ptr<const ConseHead> head_;
  TensorMap expected_;
  at::Tensor maps_;
};

TEST_F(ConseHeadTest, VectorsOfPhotographsAndDrawingsEqualTheReference) {
  ExpectSameEmbeddings(Embed(maps_), expected_.at("vectors"), "vectors");
}

TEST_F(ConseHeadTest, BatchEqualsSinglePictures) {
  const at::Tensor batch = Embed(maps_);
  for (int64_t i = 0; i < maps_.size(0); ++i) {
    const at::Tensor single =
        head_->Embed(maps_.narrow(0, i, 1), expected_.at("logits").narrow(0, i, 1),
                     expected_.at("histograms").narrow(0, i, 1));
    ExpectClose(single[0], batch[i], 1e-4, "single");
  }
}

TEST_F(ConseHeadTest, MirroredPictureHasTheSameVector) {
  ExpectClose(Embed(maps_.flip({3})), Embed(maps_), 1e-4, "mirrored");
  EXPECT_GT(MaxDifference(Embed(maps_.flip({2})), Embed(maps_)), 1e-3) << "upside down";
}

TEST_F(ConseHeadTest, TensorsThatAreMissingForeignOrOfAnotherShapeAreListed) {
  const absl::Status status = LoadChanged([](TensorMap& tensors, nlohmann::json&) {
    tensors.erase("kind_bias");
    tensors["kind_scale"] = at::zeros({3});
    tensors["color_vectors"] = at::zeros({5, 8});
  });

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("missing tensors: kind_bias"), HasSubstr("kind_scale"),
                    HasSubstr("color_vectors is [5, 8], expected [4, 8]")));
}

TEST_F(ConseHeadTest, ConfigErrorsNameTheFileAndTheKey) {
  ExpectRefused({{"format", 2}}, "\"format\" is 2");
  ExpectRefused({{"dimensions", 0}}, "\"dimensions\" is 0");
  ExpectRefused({{"temperature", 0}}, "temperature 0 is not above 0");
  ExpectRefused({{"class_share", nullptr}}, "class_share");
  ExpectRefused({{"color_softness", -1}}, "color_softness -1 is not above 0");
  ExpectRefused({{"kinds", nlohmann::json::array()}}, "\"kinds\" is not a list");
  ExpectRefused({{"patterns", {"striped", 4}}}, "\"patterns\" has an element that is not a text");
  ExpectRefused({{"colors", {"red"}}}, "colors[0] is not an object");
  const auto color = [](nlohmann::json prototypes) {
    return nlohmann::json{
        {"colors", nlohmann::json::array({{{"word", "red"}, {"prototypes", prototypes}}})}};
  };
  ExpectRefused(color({{1, 2}}), "colors[0]: a prototype does not have 3 numbers");
  ExpectRefused(color({{1, 2, 256}}), "color red has the value 256, not in [0, 255]");
  ExpectRefused(color(nlohmann::json::array()), "\"prototypes\" is not a list");

  const absl::Status other =
      LoadChanged([](TensorMap&, nlohmann::json& config) { config["model_type"] = "clip_head"; });
  EXPECT_EQ(other.code(), absl::StatusCode::kUnimplemented);
}

// The words that the built-in model uses.
ColorWords BuiltInWords() {
  const auto json =
      JsonConfig::Load(std::string(PALATE_SOURCE_DIR) + "/assets/dual_encoder/head/config.json");
  const auto config = ConseHeadConfig::FromJson(*json);
  EXPECT_TRUE(config.ok()) << config.status();
  return *ColorWords::Create(config->colors, config->color_softness);
}

size_t IndexOf(const std::string& word) {
  const auto json =
      JsonConfig::Load(std::string(PALATE_SOURCE_DIR) + "/assets/dual_encoder/head/config.json");
  const std::vector<ColorWord> colors = ConseHeadConfig::FromJson(*json)->colors;
  for (size_t i = 0; i < colors.size(); ++i) {
    if (colors[i].word == word) return i;
  }
  ADD_FAILURE() << "no color " << word;
  return 0;
}

TEST(ColorWordsTest, SharesOfPicturesEqualTheReference) {
  const ColorWords words = BuiltInWords();
  const TensorMap expected = *LoadTensors(GoldenFile("expected.safetensors"));
  for (const char* name : {"disc", "narrow", "wave"}) {
    const auto image = DecodeImage(ReadAll(GoldenFile(std::string(name) + ".png")));
    ASSERT_TRUE(image.ok()) << image.status();
    const std::vector<float> shares = words.Shares(*image);
    ExpectClose(at::tensor(at::ArrayRef<float>(shares)),
                expected.at(std::string("pictures/") + name), 1e-5, name);
  }
}

TEST(ColorWordsTest, SubjectCountsMoreThanItsBackground) {
  Image shirt = Solid({250, 250, 250}, 90, 120);
  for (int64_t y = 30; y < 90; ++y) {
    for (int64_t x = 25; x < 65; ++x) {
      uint8_t* pixel = shirt.rgb.data() + 3 * (y * 90 + x);
      pixel[0] = 200;
      pixel[1] = 25;
      pixel[2] = 35;
    }
  }

  const std::vector<float> shares = BuiltInWords().Shares(shirt);
  EXPECT_GT(shares[IndexOf("red")], 0.6f);
  EXPECT_GT(shares[IndexOf("red")], 3 * shares[IndexOf("white")]);
}

TEST(ColorWordsTest, PictureOfAnyShapeHasSharesThatSumToOne) {
  const ColorWords words = BuiltInWords();
  for (const auto& [width, height] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 1}, {20'000, 10}, {10, 20'000}, {63, 65}, {64, 64}}) {
    const std::vector<float> shares = words.Shares(Solid({28, 38, 80}, width, height));
    EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-5);
    EXPECT_GT(shares[IndexOf("navy")], 0.5f) << width << " x " << height;
  }
}

}  // namespace
}  // namespace palate::models
