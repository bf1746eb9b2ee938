#include "models/families/clip/clip.h"

#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/text/padded_tokenizer.h"
#include "tests/models/golden_tensors.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> Texts(const Golden& golden) {
  return golden.inputs()["texts"].get<std::vector<std::string>>();
}

class GoldenClipTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PALATE_SKIP_WITHOUT(golden_);
    const auto checkpoint = Checkpoint::Open(golden_.checkpoint());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();

    auto model = ClipModel::Load(*checkpoint);
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *model;
    expected_ = ReferenceTensors(golden_);
  }

  const Golden golden_{"clip-base"};
  const c10::InferenceMode inference_;
  std::shared_ptr<const ClipModel> model_;
  TensorMap expected_;
};

TEST_F(GoldenClipTest, TokenIdsEqualTheReference) {
  const auto tokenizer = PaddedTokenizer::Load(golden_.checkpoint(), TextPadding::kLongest,
                                               model_->config().text.max_positions);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();

  const auto batch = (*tokenizer)->Encode(Texts(golden_));
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->ids, Ids(expected_.at("input_ids")));
  EXPECT_EQ(batch->AttentionMask(), Ids(expected_.at("attention_mask")));
  EXPECT_GT(batch->truncated_tokens[6], 0u) << "the long caption";
}

TEST_F(GoldenClipTest, TextEqualsTheReference) {
  const at::Tensor ids = expected_.at("input_ids");
  const at::Tensor mask = expected_.at("attention_mask");
  ExpectClose(model_->TextStates(ids, mask), expected_.at("text_last_hidden_state"), 1e-4,
              "hidden states");

  const at::Tensor features = model_->TextFeatures(ids, mask);
  ExpectClose(features, expected_.at("text_features"), 1e-4, "features");
  ExpectSameEmbeddings(Unit(features), expected_.at("text_embeds"), "embeddings");
}

TEST_F(GoldenClipTest, ImagesEqualTheReference) {
  const at::Tensor pixels = expected_.at("pixel_values");
  ExpectClose(model_->ImageStates(pixels), expected_.at("vision_last_hidden_state"), 1e-4,
              "hidden states");

  const at::Tensor features = model_->ImageFeatures(pixels);
  ExpectClose(features, expected_.at("image_features"), 1e-4, "features");
  ExpectSameEmbeddings(Unit(features), expected_.at("image_embeds"), "embeddings");
}

TEST_F(GoldenClipTest, LogitsEqualTheReference) {
  const at::Tensor logits = model_->LogitsPerText(
      model_->TextFeatures(expected_.at("input_ids"), expected_.at("attention_mask")),
      model_->ImageFeatures(expected_.at("pixel_values")));

  ExpectClose(logits, expected_.at("logits_per_text"), 1e-4, "per text");
  ExpectClose(logits.t(), expected_.at("logits_per_image"), 1e-4, "per image");
}

TEST_F(GoldenClipTest, PaddingChangesNoTextVector) {
  const at::Tensor ids = expected_.at("input_ids");

  const at::Tensor lengths = expected_.at("attention_mask").sum(1);
  const at::Tensor batch = model_->TextFeatures(ids);
  for (int64_t i = 0; i < ids.size(0); ++i) {
    const at::Tensor alone = ids.narrow(0, i, 1).narrow(1, 0, lengths[i].item<int64_t>());
    ExpectClose(model_->TextFeatures(alone)[0], batch[i], 1e-5, "text " + std::to_string(i));
  }
}

TEST_F(GoldenClipTest, Bfloat16IsCloseToFloat32) {
  const auto narrow =
      ClipModel::Load(*Checkpoint::Open(golden_.checkpoint()), {.dtype = at::kBFloat16});
  ASSERT_TRUE(narrow.ok()) << narrow.status();
  const at::Tensor pixels = expected_.at("pixel_values");

  const at::Tensor features = (*narrow)->ImageFeatures(pixels);
  EXPECT_EQ(features.scalar_type(), at::kFloat);
  EXPECT_GE(at::cosine_similarity(features, model_->ImageFeatures(pixels), 1).min().item<double>(),
            0.999);
}

// The small checkpoint with another end token.
TEST_F(GoldenClipTest, NamedEndTokenIsPooledAtItsFirstOccurrence) {
  const TempFolder folder;
  CopyFolder(golden_.checkpoint(), folder.file("model"));
  nlohmann::json config = Golden::Read(folder.file("model/config.json"));
  config["text_config"]["eos_token_id"] = 320;
  WriteAll(folder.file("model/config.json"), config.dump());

  const auto model = ClipModel::Load(*Checkpoint::Open(folder.file("model")));
  ASSERT_TRUE(model.ok()) << model.status();

  // The pooled state does not depend on the tokens after the first 320.
  const at::Tensor shorter = at::tensor({1412, 79, 320}, at::kLong).view({1, 3});
  const at::Tensor longer = at::tensor({1412, 79, 320, 544, 320, 1413}, at::kLong).view({1, 6});
  ExpectClose((*model)->TextFeatures(longer), (*model)->TextFeatures(shorter), 1e-5, "pooled");
}

TEST(ClipConfigTest, ReadsThePublishedSparseFile) {
  const auto config = ClipConfig::FromJson(*JsonConfig::Parse(R"({
      "model_type": "clip", "projection_dim": 768,
      "text_config": {"model_type": "clip_text_model", "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
      "vision_config": {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14}})",
                                                              "config.json"));
  ASSERT_TRUE(config.ok()) << config.status();

  EXPECT_EQ(config->text.vocab_size, 49408);
  EXPECT_EQ(config->text.max_positions, 77);
  EXPECT_EQ(config->text.encoder.num_layers, 12);
  EXPECT_EQ(config->text.encoder.activation, Activation::kQuickGelu);
  EXPECT_EQ(config->text.eos_token_id, 49407);
  EXPECT_EQ(config->vision.image_size, 224);
  EXPECT_EQ(config->vision.num_patches(), 256);
  EXPECT_EQ(config->vision.projection_dim, 768);
}

TEST(ClipConfigTest, EarlyDictReplacesTheTextConfig) {
  const auto config = ClipConfig::FromJson(*JsonConfig::Parse(
      R"({"model_type": "clip", "text_config": {"hidden_size": 64, "eos_token_id": 2}, "text_config_dict": {"hidden_size": 128},
          "vision_config_dict": null, "vision_config": {"hidden_act": "gelu"}})",
      "config.json"));
  ASSERT_TRUE(config.ok()) << config.status();

  EXPECT_EQ(config->text.encoder.hidden_size, 128);
  EXPECT_EQ(config->text.eos_token_id, 49407);
  EXPECT_EQ(config->vision.activation, Activation::kGelu);
}

TEST(ClipConfigTest, NamesWhatIsWrong) {
  const auto status = [](const std::string& json) {
    return ClipConfig::FromJson(*JsonConfig::Parse(json, "config.json")).status();
  };

  EXPECT_EQ(status(R"({"model_type": "siglip"})").code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(
      std::string(
          status(R"({"model_type": "clip", "text_config": {"hidden_act": "mish"}})").message()),
      HasSubstr("mish"));
  EXPECT_THAT(
      std::string(
          status(R"({"model_type": "clip", "vision_config": {"hidden_size": 100}})").message()),
      HasSubstr("num_attention_heads"));
  EXPECT_THAT(
      std::string(
          status(R"({"model_type": "clip", "text_config": {"vocab_size": "many"}})").message()),
      HasSubstr("vocab_size"));
  EXPECT_THAT(std::string(status(R"({"model_type": "clip", "text_config": []})").message()),
              HasSubstr("text_config"));
}

TEST_F(GoldenClipTest, TensorsThatDoNotFitAreListed) {
  const TempFolder folder;
  CopyFolder(golden_.checkpoint(), folder.file("model"));
  nlohmann::json config = Golden::Read(folder.file("model/config.json"));
  config["vision_config"]["num_hidden_layers"] = 4;
  WriteAll(folder.file("model/config.json"), config.dump());

  EXPECT_THAT(
      std::string(ClipModel::Load(*Checkpoint::Open(folder.file("model"))).status().message()),
      HasSubstr("missing tensors: vision_model.encoder.layers.3."));

  config["vision_config"]["num_hidden_layers"] = 2;
  WriteAll(folder.file("model/config.json"), config.dump());
  EXPECT_THAT(
      std::string(ClipModel::Load(*Checkpoint::Open(folder.file("model"))).status().message()),
      HasSubstr("vision_model.encoder.layers.2."));
}

}  // namespace
}  // namespace palate::models
