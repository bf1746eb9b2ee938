#include "models/families/vit/vit.h"

#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/models/golden_tensors.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

TEST(GoldenVitTest, VisionTowerOfClipEqualsTheReference) {
  const Golden golden("clip-base");
  PALATE_SKIP_WITHOUT(golden);
  const auto checkpoint = Checkpoint::Open(golden.checkpoint());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();

  nlohmann::json tower = checkpoint->config().json()["vision_config"];
  tower["architectures"] = {"CLIPVisionModelWithProjection"};
  const auto config = VitConfig::FromJson(JsonConfig(tower, "vision_config"));
  ASSERT_TRUE(config.ok()) << config.status();

  const auto model =
      VitModel::LoadTower(*checkpoint, *config, {"text_model.", "text_projection.", "logit_scale"});
  ASSERT_TRUE(model.ok()) << model.status();

  const TensorMap expected = ReferenceTensors(golden);
  const c10::InferenceMode inference;

  const at::Tensor pixels = expected.at("pixel_values");
  ExpectClose((*model)->Forward(pixels), expected.at("vision_last_hidden_state"), 1e-4,
              "hidden states");

  const at::Tensor features = (*model)->Embed(pixels);
  ExpectClose(features, expected.at("image_features"), 1e-4, "features");
  const at::Tensor unit = features / features.norm(2, {1}, true);
  ExpectSameEmbeddings(unit, expected.at("image_embeds"), "embeddings");

  for (int64_t i = 0; i < pixels.size(0); ++i) {
    ExpectClose((*model)->Embed(pixels.narrow(0, i, 1))[0], features[i], 1e-5, "alone");
  }
}

TEST(VitModelTest, EqualsTheReferenceUnderTheNamesOfTransformers5) {
  Golden golden("vit-model");
  golden.folder = std::string(PALATE_SOURCE_DIR) + "/tests/goldens/vit-model";
  PALATE_SKIP_WITHOUT(golden);
  const auto model = VitModel::Load(*Checkpoint::Open(golden.checkpoint()));
  ASSERT_TRUE(model.ok()) << model.status();

  const TensorMap expected = ReferenceTensors(golden);
  const c10::InferenceMode inference;

  const at::Tensor pixels = expected.at("pixel_values");
  ExpectClose((*model)->Forward(pixels), expected.at("last_hidden_state"), 1e-4, "hidden states");
  ExpectClose((*model)->Embed(pixels), expected.at("pooled_cls"), 1e-4, "class token");
  ExpectClose((*model)->Embed(pixels, VitPooling::kMean), expected.at("pooled_mean"), 1e-4,
              "mean of the patches");
}

VitConfig SmallConfig(VitConfig::Layout layout) {
  VitConfig config;
  config.layout = layout;
  config.image_size = 16;
  config.patch_size = 8;
  config.hidden_size = 24;
  config.intermediate_size = 32;
  config.num_layers = 2;
  config.num_heads = 4;
  config.projection_dim = layout == VitConfig::Layout::kClipVision ? 12 : 0;
  config.activation = layout == VitConfig::Layout::kVit ? VitConfig::Activation::kGelu
                                                        : VitConfig::Activation::kQuickGelu;
  config.initializer_range = 0.2;
  return config;
}

class VitLayoutTest : public ::testing::TestWithParam<VitConfig::Layout> {};

TEST_P(VitLayoutTest, SavedFolderLoadsAsTheSameModel) {
  const TempFolder folder;
  const auto model = VitModel::CreateRandom(SmallConfig(GetParam()), 5);
  ASSERT_TRUE((*model)->Save(folder.path()).ok());

  const auto loaded = VitModel::Load(*Checkpoint::Open(folder.path()));
  ASSERT_TRUE(loaded.ok()) << loaded.status();

  const c10::InferenceMode inference;
  const at::Tensor pixels = at::randn({2, 3, 16, 16});
  for (const VitPooling pooling : {VitPooling::kCls, VitPooling::kMean}) {
    const at::Tensor vectors = (*loaded)->Embed(pixels, pooling);
    EXPECT_EQ(vectors.sizes(), (std::vector<int64_t>{2, (*loaded)->config().output_dim()}));
    // Some processors get another kernel for mapped weights than for those in memory: equal up to
    // the last digits.
    const at::Tensor expected = (*model)->Embed(pixels, pooling);
    EXPECT_LE((vectors - expected).abs().max().item<float>(),
              1e-6 * expected.abs().max().item<float>());
  }
}

TEST_P(VitLayoutTest, GradientReachesEveryParameter) {
  const auto model = VitModel::CreateRandom(SmallConfig(GetParam()), 5);

  (*model)->Embed(at::randn({2, 3, 16, 16})).square().sum().backward();
  for (const Parameter& parameter : (*model)->Parameters()) {
    ASSERT_TRUE(parameter.tensor->grad().defined()) << parameter.name;
    EXPECT_TRUE(parameter.tensor->grad().isfinite().all().item<bool>()) << parameter.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, VitLayoutTest,
                         ::testing::Values(VitConfig::Layout::kClipVision,
                                           VitConfig::Layout::kVit));

TEST(VitConfigTest, NamesWhatIsWrong) {
  const auto read = [](const nlohmann::json& changes) {
    nlohmann::json json = SmallConfig(VitConfig::Layout::kClipVision).ToJson();
    json.merge_patch(changes);
    return VitConfig::FromJson(JsonConfig(json, "config.json")).status();
  };

  EXPECT_TRUE(read(nlohmann::json::object()).ok());
  EXPECT_THAT(std::string(read({{"patch_size", 17}}).message()),
              HasSubstr("patch_size (17) is above image_size (16)"));
  EXPECT_THAT(std::string(read({{"num_attention_heads", 5}}).message()),
              HasSubstr("num_attention_heads"));
  EXPECT_THAT(std::string(read({{"image_size", nullptr}}).message()), HasSubstr("image_size"));
  EXPECT_EQ(read({{"model_type", "swin"}}).code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(read({{"hidden_act", "mish"}}).code(), absl::StatusCode::kUnimplemented);
}

TEST(VitModelTest, ListsTensorsOfAnotherShape) {
  const TempFolder folder;
  const auto model = VitModel::CreateRandom(SmallConfig(VitConfig::Layout::kClipVision), 5);
  ASSERT_TRUE((*model)->Save(folder.path()).ok());

  VitConfig wider = (*model)->config();
  wider.projection_dim = 13;
  WriteAll(folder.file("config.json"), wider.ToJson().dump());

  const auto loaded = VitModel::Load(*Checkpoint::Open(folder.path()));
  EXPECT_THAT(std::string(loaded.status().message()),
              HasSubstr("visual_projection.weight is [12, 24], expected [13, 24]"));
}

}  // namespace
}  // namespace palate::models
