#include "models/families/siglip/siglip.h"

#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/text/padded_tokenizer.h"
#include "tests/models/golden_tensors.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

class GoldenSiglipTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PALATE_SKIP_WITHOUT(golden_);
    const auto checkpoint = Checkpoint::Open(golden_.checkpoint());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    auto model = SiglipModel::Load(*checkpoint);
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *model;
    expected_ = ReferenceTensors(golden_);
  }

  const Golden golden_{"siglip-base"};
  const c10::InferenceMode inference_;
  std::shared_ptr<const SiglipModel> model_;
  TensorMap expected_;
};

TEST_F(GoldenSiglipTest, TokenIdsEqualTheReference) {
  const auto tokenizer = PaddedTokenizer::Load(golden_.checkpoint(), TextPadding::kMaximum,
                                               model_->config().text.max_positions);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto texts = golden_.inputs()["texts"].get<std::vector<std::string>>();

  const auto batch = (*tokenizer)->Encode(texts);
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->width, model_->config().text.max_positions);
  EXPECT_EQ(batch->ids, Ids(expected_.at("input_ids")));

  const auto narrower = (*tokenizer)->Encode(texts, {.width = 5});
  ASSERT_TRUE(narrower.ok()) << narrower.status();
  EXPECT_EQ(narrower->ids.size(), 5 * texts.size());
}

TEST_F(GoldenSiglipTest, TextEqualsTheReference) {
  const at::Tensor ids = expected_.at("input_ids");
  ExpectClose(model_->TextStates(ids), expected_.at("text_last_hidden_state"), 1e-4,
              "hidden states");

  const at::Tensor features = model_->TextFeatures(ids);
  ExpectClose(features, expected_.at("text_features"), 1e-4, "features");
  ExpectSameEmbeddings(Unit(features), expected_.at("text_embeds"), "embeddings");
}

TEST_F(GoldenSiglipTest, ImagesEqualTheReference) {
  const at::Tensor pixels = expected_.at("pixel_values");
  ExpectClose(model_->ImageStates(pixels), expected_.at("vision_last_hidden_state"), 1e-4,
              "hidden states");

  const at::Tensor features = model_->ImageFeatures(pixels);
  ExpectClose(features, expected_.at("image_features"), 1e-4, "features");
  ExpectSameEmbeddings(Unit(features), expected_.at("image_embeds"), "embeddings");
}

TEST_F(GoldenSiglipTest, LogitsEqualTheReference) {
  const at::Tensor logits =
      model_->LogitsPerText(model_->TextFeatures(expected_.at("input_ids")),
                            model_->ImageFeatures(expected_.at("pixel_values")));

  ExpectClose(logits, expected_.at("logits_per_text"), 1e-4, "per text");
  ExpectClose(logits.t(), expected_.at("logits_per_image"), 1e-4, "per image");
}

TEST_F(GoldenSiglipTest, BatchEqualsSingle) {
  const at::Tensor ids = expected_.at("input_ids");
  const at::Tensor pixels = expected_.at("pixel_values");

  const at::Tensor texts = model_->TextFeatures(ids);
  const at::Tensor images = model_->ImageFeatures(pixels);

  for (int64_t i = 0; i < ids.size(0); ++i) {
    ExpectClose(model_->TextFeatures(ids.narrow(0, i, 1))[0], texts[i], 1e-5,
                "text " + std::to_string(i));
    ExpectClose(model_->ImageFeatures(pixels.narrow(0, i, 1))[0], images[i], 1e-5,
                "image " + std::to_string(i));
  }
}

TEST(SiglipConfigTest, ReadsThePublishedSparseFile) {
  const auto config = SiglipConfig::FromJson(*JsonConfig::Parse(
      R"({"model_type": "siglip", "text_config": {"model_type": "siglip_text_model", "hidden_size": 1152, "intermediate_size": 4304,
          "num_attention_heads": 16, "num_hidden_layers": 27},
          "vision_config": {"hidden_size": 1152, "image_size": 384, "intermediate_size": 4304, "num_attention_heads": 16,
          "num_hidden_layers": 27, "patch_size": 14}})",
      "config.json"));
  ASSERT_TRUE(config.ok()) << config.status();

  EXPECT_EQ(config->text.vocab_size, 32000);
  EXPECT_EQ(config->text.max_positions, 64);
  EXPECT_EQ(config->text.projection_size, 1152);
  EXPECT_EQ(config->text.encoder.activation, Activation::kGeluTanh);
  EXPECT_EQ(config->vision.patches_per_side(), 27) << "six pixels are left over";
}

TEST(SiglipConfigTest, NamesWhatIsWrong) {
  const auto status = [](const std::string& json) {
    return SiglipConfig::FromJson(*JsonConfig::Parse(json, "config.json")).status();
  };

  EXPECT_EQ(status(R"({"model_type": "clip"})").code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(
      std::string(status(R"({"model_type": "siglip", "vision_config": {"vision_use_head": false}})")
                      .message()),
      HasSubstr("vision_use_head"));
  EXPECT_THAT(
      std::string(
          status(R"({"model_type": "siglip", "text_config": {"projection_size": 100}})").message()),
      HasSubstr("projection_size"));
}

}  // namespace
}  // namespace palate::models
