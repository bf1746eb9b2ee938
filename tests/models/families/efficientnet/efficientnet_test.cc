#include "models/families/efficientnet/efficientnet.h"

#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <map>

#include "absl/strings/escaping.h"
#include "models/image/processor.h"
#include "tests/models/golden_tensors.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Golden Tiny() {
  Golden golden("efficientnet_lite-tiny");
  golden.folder = std::string(PALATE_SOURCE_DIR) + "/tests/goldens/efficientnet_lite-tiny";
  return golden;
}

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

class EfficientNetLiteTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto checkpoint = Checkpoint::Open(golden_.checkpoint());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    auto model = EfficientNetLite::Load(*checkpoint);
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *model;
    expected_ = ReferenceTensors(golden_);
  }

  // The status of loading the checkpoint after `change`.
  absl::Status LoadChanged(const std::function<void(TensorMap&, nlohmann::json&)>& change) {
    const TempFolder folder;
    TensorMap tensors = *LoadTensors(golden_.checkpoint() + "/model.safetensors");
    nlohmann::json config = Golden::Read(golden_.checkpoint() + "/config.json");
    change(tensors, config);
    EXPECT_TRUE(SaveTensors(tensors, folder.file("model.safetensors")).ok());
    WriteAll(folder.file("config.json"), config.dump());
    return EfficientNetLite::Load(*Checkpoint::Open(folder.path())).status();
  }

  const Golden golden_ = Tiny();
  const c10::InferenceMode inference_;
  std::shared_ptr<const EfficientNetLite> model_;
  TensorMap expected_;
};

TEST_F(EfficientNetLiteTest, MapFeaturesAndLogitsEqualTheReference) {
  const at::Tensor pixels = expected_.at("pixel_values");
  ExpectClose(model_->FeatureMap(pixels), expected_.at("last_hidden_state"), 1e-4, "map");

  const at::Tensor features = model_->Features(pixels);
  ExpectSameEmbeddings(features, expected_.at("pooled_mean"), "features");
  ExpectClose(model_->Logits(features), expected_.at("logits"), 1e-4, "logits");
}

TEST_F(EfficientNetLiteTest, LargeBatchEqualsSinglePictures) {
  const at::Tensor pixels = expected_.at("pixel_values").repeat({3, 1, 1, 1}).narrow(0, 0, 11);
  const at::Tensor features = model_->Features(pixels);
  const at::Tensor map = model_->FeatureMap(pixels);
  ASSERT_EQ(features.sizes(), (std::vector<int64_t>{11, EfficientNetLiteConfig::kFeatures}));

  for (int64_t i = 0; i < pixels.size(0); ++i) {
    const at::Tensor single = pixels.narrow(0, i, 1);
    ExpectClose(model_->Features(single)[0], features[i], 1e-5, "features");
    ExpectClose(model_->FeatureMap(single)[0], map[i], 1e-4, "map");
  }
}

TEST_F(EfficientNetLiteTest, Bfloat16IsCloseToFloat32) {
  const auto narrow =
      EfficientNetLite::Load(*Checkpoint::Open(golden_.checkpoint()), {.dtype = at::kBFloat16});
  ASSERT_TRUE(narrow.ok()) << narrow.status();
  const at::Tensor pixels = expected_.at("pixel_values");

  const at::Tensor features = (*narrow)->Features(pixels);
  EXPECT_EQ(features.scalar_type(), at::kFloat);
  EXPECT_GE(at::cosine_similarity(features, model_->Features(pixels), 1).min().item<double>(),
            0.999);
  EXPECT_EQ((*narrow)->Logits(features).scalar_type(), at::kFloat);
}

TEST_F(EfficientNetLiteTest, MapCoversPicturesOfAnySize) {
  const at::Tensor map = model_->FeatureMap(at::zeros({1, 3, 65, 320}));
  EXPECT_EQ(map.sizes(), (std::vector<int64_t>{1, EfficientNetLiteConfig::kFeatures, 3, 10}));
}

TEST_F(EfficientNetLiteTest, TensorsThatAreMissingForeignOrOfAnotherShapeAreListed) {
  const absl::Status status = LoadChanged([](TensorMap& tensors, nlohmann::json&) {
    tensors.erase("_blocks.3._bn2.running_var");
    tensors["_blocks.0._expand_conv.weight"] = at::zeros({32, 32, 1, 1});
    tensors["_blocks.5._se_reduce.weight"] = at::zeros({4, 96, 1, 1});
    tensors["_conv_stem.weight"] = at::zeros({32, 1, 3, 3});
  });

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      MessageOf(status),
      AllOf(HasSubstr("missing tensors: _blocks.3._bn2.running_var;"),
            HasSubstr("_conv_stem.weight is [32, 1, 3, 3], expected [32, 3, 3, 3]"),
            HasSubstr("_blocks.0._expand_conv.weight"), HasSubstr("_blocks.5._se_reduce.weight")));
}

TEST_F(EfficientNetLiteTest, ClassifierIsForeignWhereTheConfigHasNoClasses) {
  const absl::Status status = LoadChanged([](TensorMap&, nlohmann::json& config) {
    config.erase("num_labels");
    config.erase("id2label");
  });
  EXPECT_THAT(MessageOf(status), HasSubstr(R"(the model does not have: "_fc.bias", "_fc.weight")"));

  EXPECT_TRUE(LoadChanged([](TensorMap& tensors, nlohmann::json& config) {
                config.erase("num_labels");
                config.erase("id2label");
                tensors.erase("_fc.weight");
                tensors.erase("_fc.bias");
              }).ok());
}

TEST_F(EfficientNetLiteTest, LayerThatIsNotFiniteIsNamed) {
  for (const float value : {-1.0f, std::numeric_limits<float>::quiet_NaN()}) {
    const absl::Status status = LoadChanged([&](TensorMap& tensors, nlohmann::json&) {
      tensors.at("_blocks.2._bn1.running_var")[3] = value;
    });
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(MessageOf(status), HasSubstr("_blocks.2._depthwise_conv and _blocks.2._bn1"));
  }
}

// Black and white photographs, prints, icons without a background, and a single pixel.
TEST_F(EfficientNetLiteTest, PictureOfAnyKindHasFiniteFeatures) {
  constexpr char kCmyk[] =
      "ffd8ffdb0043000302020302020303030304030304050805050404050a070706080c0a0c0c0b0a0b0b0d0e1210"
      "0d0e110e0b0b1016101113141515150c0f171816141812141514ffc000140800080010044311004d1100591100"
      "4b1100ffc400160001010100000000000000000000000000090805ffc400141001000000000000000000000000"
      "00000000ffda000e0443004d0059004b00003f00ba1a68f0818542145d92fbffd9";
  const auto processor = ImageProcessor::Load(golden_.checkpoint());
  ASSERT_TRUE(processor.ok()) << processor.status();

  std::vector<std::string> pictures = {absl::HexStringToBytes(kCmyk),
                                       *EncodePng({.width = 1, .height = 1, .rgb = {9, 0, 255}})};
  const Golden golden("preprocess-images");
  if (golden.exists()) {
    for (const char* name : {"gray.jpg", "gray_alpha.png", "rgba.png", "palette_transparent.png",
                             "lossless_alpha.webp", "bilevel.png"})
      pictures.push_back(ReadAll(golden.input(name)));
  }

  for (const std::string& picture : pictures) {
    const auto image = DecodeImage(picture);
    ASSERT_TRUE(image.ok()) << image.status();
    const auto pixels = processor->Process(*image);
    ASSERT_TRUE(pixels.ok()) << pixels.status();
    ASSERT_EQ(pixels->sizes(), (std::vector<int64_t>{3, 35, 35}));
    EXPECT_LE(pixels->abs().max().item<float>(), 1.0f);
    EXPECT_TRUE(model_->Features(pixels->unsqueeze(0)).isfinite().all().item<bool>());
  }
}

TEST_F(EfficientNetLiteTest, StripOfTwentyThousandPixelsIsRefusedByItsSides) {
  const auto processor = ImageProcessor::Load(golden_.checkpoint());
  Image strip{.width = 20'000, .height = 10};
  strip.rgb.resize(600'000);

  const absl::Status status = processor->Process(strip).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MessageOf(status), "is 20000 x 10: one side may be at most 200 times the other");
}

// The folder that scripts/setup.sh makes: PALATE_EFFICIENTNET_DIR, otherwise beside MiniLM in the
// download cache.
std::string PublishedLite2() {
  if (const char* folder = std::getenv("PALATE_EFFICIENTNET_DIR")) return folder;
  return (std::filesystem::path(MiniLmFolder()).parent_path() / "efficientnet-lite2").string();
}

TEST(PublishedEfficientNetLite2Test, FeaturesOfPicturesEqualTheReference) {
  const auto checkpoint = Checkpoint::Open(PublishedLite2());
  if (absl::IsNotFound(checkpoint.status())) GTEST_SKIP() << checkpoint.status();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto model = EfficientNetLite::Load(*checkpoint);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto processor = ImageProcessor::Load(PublishedLite2());
  ASSERT_TRUE(processor.ok()) << processor.status();

  const Golden golden = Tiny();
  std::vector<at::Tensor> pictures;
  const auto names = golden.inputs()["tower_images"].get<std::vector<std::string>>();
  for (const std::string& name : names) {
    const auto image = DecodeImage(ReadAll(golden.input(name)));
    pictures.push_back(*processor->Process(*image));
  }

  const TensorMap expected = *LoadTensors(std::string(PALATE_SOURCE_DIR) +
                                          "/tests/models/families/efficientnet/lite2.safetensors");
  const c10::InferenceMode inference;
  const at::Tensor features = (*model)->Features(at::stack(pictures));
  ExpectSameEmbeddings(features, expected.at("features"), "features");
  ExpectClose((*model)->Logits(features), expected.at("logits"), 1e-3, "logits");
}

nlohmann::json Lite2() {
  return {{"model_type", "efficientnet_lite"},
          {"variant", "lite2"},
          {"image_size", 260},
          {"num_channels", 3},
          {"num_labels", 1000},
          {"batch_norm_eps", 1e-3}};
}

// Reads Lite2() with some keys changed; null removes a key.
absl::StatusOr<EfficientNetLiteConfig> ReadChanged(const nlohmann::json& changes) {
  nlohmann::json json = Lite2();
  json.merge_patch(changes);
  return EfficientNetLiteConfig::FromJson(JsonConfig(json, "config.json"));
}

TEST(EfficientNetLiteConfigTest, VariantsHaveThePublishedNumbersOfParameters) {
  const std::map<std::string, int64_t> published = {{"lite0", 4'652'008},
                                                    {"lite1", 5'416'680},
                                                    {"lite2", 6'092'072},
                                                    {"lite3", 8'197'096},
                                                    {"lite4", 13'006'568}};
  for (const auto& [variant, count] : published) {
    const auto config = ReadChanged({{"variant", variant}});
    ASSERT_TRUE(config.ok()) << config.status();

    int64_t parameters = 0;
    for (const auto& [name, shape] : config->TensorShapes()) {
      if (name.find(".running_") != std::string::npos) continue;
      int64_t elements = 1;
      for (const int64_t size : shape) elements *= size;
      parameters += elements;
    }
    EXPECT_EQ(parameters, count) << variant;
  }
}

TEST(EfficientNetLiteConfigTest, CoefficientsStandForTheVariant) {
  const auto named = ReadChanged(nlohmann::json::object());
  const auto scaled =
      ReadChanged({{"variant", nullptr}, {"width_coefficient", 1.1}, {"depth_coefficient", 1.2}});
  ASSERT_TRUE(named.ok()) << named.status();
  ASSERT_TRUE(scaled.ok()) << scaled.status();
  EXPECT_EQ(named->TensorShapes(), scaled->TensorShapes());
}

TEST(EfficientNetLiteConfigTest, ReadsTheNamesOfTheClasses) {
  const auto config =
      ReadChanged({{"num_labels", 2}, {"id2label", {{"0", "tench"}, {"1", "goldfish"}}}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->labels, (std::vector<std::string>{"tench", "goldfish"}));
}

TEST(EfficientNetLiteConfigTest, NamesWhatIsWrong) {
  const auto invalid = [](const nlohmann::json& changes) {
    const absl::Status status = ReadChanged(changes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << changes;
    return MessageOf(status);
  };
  EXPECT_THAT(invalid({{"variant", nullptr}}), HasSubstr("width_coefficient"));
  EXPECT_THAT(invalid({{"depth_coefficient", 1.4}}),
              HasSubstr("variant lite2 has the width_coefficient 1.1"));
  EXPECT_THAT(invalid({{"variant", nullptr}, {"width_coefficient", -1}, {"depth_coefficient", 1}}),
              HasSubstr("width_coefficient (-1)"));
  EXPECT_THAT(invalid({{"image_size", nullptr}}), HasSubstr("image_size"));
  EXPECT_THAT(invalid({{"num_channels", 1}}), HasSubstr("num_channels"));
  EXPECT_THAT(invalid({{"batch_norm_eps", 0}}), HasSubstr("batch_norm_eps"));
  EXPECT_THAT(invalid({{"num_labels", -1}}), HasSubstr("num_labels"));
  EXPECT_THAT(invalid({{"id2label", {{"0", "tench"}}}}),
              HasSubstr("id2label names 1 classes, but num_labels is 1000"));
  EXPECT_THAT(invalid({{"num_labels", 1}, {"id2label", {{"1", "tench"}}}}), HasSubstr("\"0\""));

  const auto unsupported = [](const nlohmann::json& changes) {
    const absl::Status status = ReadChanged(changes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << changes;
    return MessageOf(status);
  };
  EXPECT_THAT(unsupported({{"variant", "b0"}}), HasSubstr("lite0"));
  EXPECT_THAT(unsupported({{"model_type", "efficientnet"}}), HasSubstr("efficientnet_lite"));
  EXPECT_THAT(unsupported({{"hidden_act", "swish"}}), HasSubstr("relu6"));
  EXPECT_THAT(unsupported({{"squeeze_expansion_ratio", 0.25}}), HasSubstr("0.25"));
}

}  // namespace
}  // namespace palate::models
