// The usage examples in the headers of models/, compiled and run.
#include "tests/usage_examples.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/status.h"
#include "models/causal_lm/causal_lm.h"
#include "models/checkpoint/adapter.h"
#include "models/checkpoint/checkpoint.h"
#include "models/checkpoint/json_config.h"
#include "models/checkpoint/parameters.h"
#include "models/checkpoint/safetensors.h"
#include "models/decoder/decoder.h"
#include "models/device.h"
#include "models/dtype.h"
#include "models/families/bert/bert.h"
#include "models/families/clip/clip.h"
#include "models/families/efficientnet/efficientnet.h"
#include "models/families/siglip/siglip.h"
#include "models/families/vit/vit.h"
#include "models/image/image.h"
#include "models/image/processor.h"
#include "models/image/vl_processor.h"
#include "models/registry.h"
#include "models/text/chat_template.h"
#include "models/text/padded_tokenizer.h"
#include "models/text/reference_tokenizer.h"
#include "models/text/tokenizer.h"
#include "models/torch_status.h"
#include "tests/models/golden.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

// Expects that this file has the example of `header`.
void ExpectExampleOf(const std::string& header) {
  ExpectTestHasExampleOf(header, "tests/models/usage_examples_test.cc");
}

absl::Status UseCheckpoint(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(folder));
  PALATE_ASSIGN_OR_RETURN(const std::string type, checkpoint.config().String("model_type"));
  const TensorEntry& embedding = checkpoint.tensors().at("model.embed_tokens.weight");

  EXPECT_EQ(type, "qwen3");
  EXPECT_EQ(embedding.shape.size(), 2u);
  return absl::OkStatus();
}

TEST(UsageExampleTest, Checkpoint) {
  ExpectExampleOf("models/checkpoint/checkpoint.h");

  const Golden golden("qwen3-gqa");
  PALATE_SKIP_WITHOUT(golden);
  const absl::Status status = UseCheckpoint(golden.checkpoint());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseConfig(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig config, JsonConfig::Load(folder + "/config.json"));
  PALATE_ASSIGN_OR_RETURN(const int64_t layers, config.IntIn("num_hidden_layers", 1, 1024));
  PALATE_ASSIGN_OR_RETURN(const bool tied, config.BoolOr("tie_word_embeddings", false));

  EXPECT_EQ(layers, 3);
  EXPECT_FALSE(tied);
  return absl::OkStatus();
}

TEST(UsageExampleTest, Config) {
  ExpectExampleOf("models/checkpoint/json_config.h");

  const TempFolder folder;
  WriteAll(folder.file("config.json"), R"({"num_hidden_layers": 3})");
  const absl::Status status = UseConfig(folder.path());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseParameters(const std::string& folder, int64_t hidden_size) {
  at::Tensor weight, bias;
  ParameterList list;
  AddNorm(list, "norm.", hidden_size, weight, bias);
  PALATE_RETURN_IF_ERROR(InitializeParameters(list, /*seed=*/1, /*trainable=*/true));
  PALATE_RETURN_IF_ERROR(SaveParameters(list, folder + "/model.safetensors"));

  PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(folder));
  PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, list));

  EXPECT_TRUE(at::equal(weight, at::ones({hidden_size})));
  return absl::OkStatus();
}

TEST(UsageExampleTest, Parameters) {
  ExpectExampleOf("models/checkpoint/parameters.h");

  const TempFolder folder;
  WriteAll(folder.file("config.json"), "{}");
  const absl::Status status = UseParameters(folder.path(), 8);
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseSafetensors(const std::string& path) {
  size_t total_bytes = 0;

  PALATE_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Open(path));
  for (const auto& [name, entry] : file.tensors()) total_bytes += entry.data.size();

  EXPECT_EQ(total_bytes, 12u);
  return absl::OkStatus();
}

TEST(UsageExampleTest, Safetensors) {
  ExpectExampleOf("models/checkpoint/safetensors.h");

  const TempFolder folder;
  ASSERT_TRUE(SaveTensors({{"x", at::ones({3})}}, folder.file("x.safetensors")).ok());
  const absl::Status status = UseSafetensors(folder.file("x.safetensors"));
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseAdapter(const std::string& folder, const ParameterList& list) {
  PALATE_ASSIGN_OR_RETURN(const Adapter adapter, Adapter::Open(folder));
  PALATE_ASSIGN_OR_RETURN(const std::string base, AdapterBaseFolder(folder));
  PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(base));
  PALATE_RETURN_IF_ERROR(LoadParameters(checkpoint, list, {.adapter = &adapter}));

  return absl::OkStatus();
}

TEST(UsageExampleTest, Adapter) {
  ExpectExampleOf("models/checkpoint/adapter.h");

  const TempFolder folder;
  std::filesystem::create_directory(folder.file("base"));
  std::filesystem::create_directory(folder.file("adapter"));
  WriteAll(folder.file("base/config.json"), "{}");
  ASSERT_TRUE(
      SaveTensors({{"q_proj.weight", at::ones({4, 3})}}, folder.file("base/model.safetensors"))
          .ok());
  WriteAll(folder.file("adapter/adapter_config.json"),
           R"({"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q_proj"],
               "base_model_name_or_path": "base"})");
  ASSERT_TRUE(SaveTensors({{"base_model.model.q_proj.lora_A.weight", at::ones({2, 3})},
                           {"base_model.model.q_proj.lora_B.weight", at::ones({4, 2})}},
                          folder.file("adapter/adapter_model.safetensors"))
                  .ok());

  at::Tensor weight;
  const absl::Status status =
      UseAdapter(folder.file("adapter"), {{"q_proj.weight", {4, 3}, {}, &weight}});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(at::equal(weight, at::full({4, 3}, 3.0)));
}

absl::Status UseRegistry(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(folder));
  PALATE_ASSIGN_OR_RETURN(const ModelFamily family, FindModelFamily(checkpoint.config()));

  EXPECT_EQ(family, ModelFamily::kQwen3);
  return absl::OkStatus();
}

TEST(UsageExampleTest, Registry) {
  ExpectExampleOf("models/registry.h");

  const Golden golden("qwen3-gqa");
  PALATE_SKIP_WITHOUT(golden);
  const absl::Status status = UseRegistry(golden.checkpoint());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseDtype() {
  PALATE_ASSIGN_OR_RETURN(const c10::Device device, OpenDevice("auto"));
  PALATE_ASSIGN_OR_RETURN(const at::ScalarType dtype, ParseDtype("auto", device));

  EXPECT_NE(DtypeName(dtype), "");
  return absl::OkStatus();
}

TEST(UsageExampleTest, Dtype) {
  ExpectExampleOf("models/dtype.h");

  const absl::Status status = UseDtype();
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseCatchTorch(const at::Tensor& x, const at::Tensor& weight) {
  PALATE_ASSIGN_OR_RETURN(const at::Tensor y, CatchTorch([&] { return at::linear(x, weight); }));

  EXPECT_EQ(y.size(1), weight.size(0));
  return absl::OkStatus();
}

TEST(UsageExampleTest, TorchStatus) {
  ExpectExampleOf("models/torch_status.h");

  EXPECT_TRUE(UseCatchTorch(at::ones({2, 3}), at::ones({4, 3})).ok());
  EXPECT_FALSE(UseCatchTorch(at::ones({2, 3}), at::ones({4, 5})).ok());
}

absl::Status UseTokenizer(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const auto tokenizer, Tokenizer::Load(folder));
  PALATE_ASSIGN_OR_RETURN(const EncodedText encoded,
                          tokenizer->Encode("a red mug", {.max_tokens = 64}));
  PALATE_ASSIGN_OR_RETURN(const std::string text, tokenizer->Decode(encoded.ids));

  EXPECT_EQ(text, "a red mug");
  return absl::OkStatus();
}

TEST(UsageExampleTest, Tokenizer) {
  ExpectExampleOf("models/text/tokenizer.h");

  const Golden golden("qwen3-gqa");
  PALATE_SKIP_WITHOUT(golden);
  const absl::Status status = UseTokenizer(golden.checkpoint());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseReferenceTokenizer(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const auto tokenizer, LoadReferenceTokenizer(folder));

  EXPECT_GT(tokenizer->vocab_size(), 0);
  return absl::OkStatus();
}

TEST(UsageExampleTest, ReferenceTokenizer) {
  ExpectExampleOf("models/text/reference_tokenizer.h");

  const Golden golden("clip-base");
  PALATE_SKIP_WITHOUT(golden);
  const absl::Status status = UseReferenceTokenizer(golden.checkpoint());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseChatTemplate(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const auto chat_template, ChatTemplate::Load(folder));
  PALATE_ASSIGN_OR_RETURN(const std::string prompt,
                          chat_template->Render({{.role = "user", .content = "Which mug?"}},
                                                /*add_generation_prompt=*/true));

  EXPECT_THAT(prompt, ::testing::HasSubstr("Which mug?"));
  return absl::OkStatus();
}

TEST(UsageExampleTest, ChatTemplate) {
  ExpectExampleOf("models/text/chat_template.h");

  const Golden golden("qwen3-gqa");
  PALATE_SKIP_WITHOUT(golden);
  const absl::Status status = UseChatTemplate(golden.checkpoint());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UsePaddedTokenizer(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const auto tokenizer, PaddedTokenizer::Load(folder, TextPadding::kLongest,
                                                                      /*max_positions=*/77));
  const std::vector<std::string> texts = {"a mug", "a red mug"};
  PALATE_ASSIGN_OR_RETURN(const PaddedIds batch, tokenizer->Encode(texts));

  EXPECT_EQ(static_cast<int64_t>(batch.ids.size()), 2 * batch.width);
  return absl::OkStatus();
}

TEST(UsageExampleTest, PaddedTokenizer) {
  ExpectExampleOf("models/text/padded_tokenizer.h");

  const Golden golden("clip-base");
  PALATE_SKIP_WITHOUT(golden);
  const absl::Status status = UsePaddedTokenizer(golden.checkpoint());
  EXPECT_TRUE(status.ok()) << status;
}

// A black PNG.
std::string EncodedImage() {
  Image image{.width = 60, .height = 40};
  image.rgb.resize(static_cast<size_t>(3 * image.width * image.height));
  return *EncodePng(image);
}

absl::Status UseImage(const std::string& encoded) {
  PALATE_ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(encoded));
  PALATE_ASSIGN_OR_RETURN(const Image image, DecodeImage(encoded, {.max_pixels = 1'000'000}));

  EXPECT_EQ(header.width, image.width);
  return absl::OkStatus();
}

TEST(UsageExampleTest, Image) {
  ExpectExampleOf("models/image/image.h");

  const absl::Status status = UseImage(EncodedImage());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseImageProcessor(const std::string& folder, const std::string& encoded) {
  PALATE_ASSIGN_OR_RETURN(const ImageProcessor processor, ImageProcessor::Load(folder));
  PALATE_ASSIGN_OR_RETURN(const Image image, DecodeImage(encoded));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor pixels, processor.Process(image));

  EXPECT_EQ(pixels.dim(), 3);
  return absl::OkStatus();
}

TEST(UsageExampleTest, ImageProcessor) {
  ExpectExampleOf("models/image/processor.h");

  const TempFolder folder;
  WriteAll(folder.file("preprocessor_config.json"),
           R"({"image_processor_type": "ViTImageProcessor"})");
  const absl::Status status = UseImageProcessor(folder.path(), EncodedImage());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseVlImageProcessor(const std::string& folder, const std::string& encoded) {
  PALATE_ASSIGN_OR_RETURN(const VlImageProcessor processor, VlImageProcessor::Load(folder));
  PALATE_ASSIGN_OR_RETURN(const Image image, DecodeImage(encoded));
  PALATE_ASSIGN_OR_RETURN(const ImagePatches patches, processor.Process(image));

  EXPECT_EQ(patches.pixel_values.size(0), patches.patches());
  return absl::OkStatus();
}

TEST(UsageExampleTest, VlImageProcessor) {
  ExpectExampleOf("models/image/vl_processor.h");

  const TempFolder folder;
  WriteAll(folder.file("preprocessor_config.json"),
           R"({"image_processor_type": "Qwen2VLImageProcessor"})");
  const absl::Status status = UseVlImageProcessor(folder.path(), EncodedImage());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseSentenceEncoder(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const auto encoder, SentenceEncoder::Load(folder));
  PALATE_ASSIGN_OR_RETURN(const EncodedText text, encoder->Tokenize("a red mug"));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor vectors, encoder->Encode({text.ids}));

  EXPECT_EQ(vectors.sizes(), (std::vector<int64_t>{1, encoder->dimensions()}));
  return absl::OkStatus();
}

TEST(UsageExampleTest, SentenceEncoder) {
  ExpectExampleOf("models/families/bert/bert.h");

  const Golden golden("bert-mean");
  PALATE_SKIP_WITHOUT(golden);
  const absl::Status status = UseSentenceEncoder(golden.checkpoint());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseDecoder(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(folder));
  PALATE_ASSIGN_OR_RETURN(const auto model, DecoderModel::Load(checkpoint));
  const std::vector<int64_t> prompt = {1, 2, 3};
  PALATE_ASSIGN_OR_RETURN(const at::Tensor logits, CatchTorch([&] {
                            const c10::InferenceMode inference;
                            return model->Logits(model->Forward(PackTokens({prompt})));
                          }));

  EXPECT_EQ(logits.sizes(), (std::vector<int64_t>{3, model->config().vocab_size}));
  return absl::OkStatus();
}

TEST(UsageExampleTest, Decoder) {
  ExpectExampleOf("models/decoder/decoder.h");

  const Golden golden("qwen3-gqa");
  PALATE_SKIP_WITHOUT(golden);
  const absl::Status status = UseDecoder(golden.checkpoint());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseCausalLm(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(const auto lm, CausalLm::Load(folder));
  PALATE_ASSIGN_OR_RETURN(const EncodedText prompt, lm->tokenizer().Encode("A red mug"));
  const LmSequence sequence = {.ids = prompt.ids};
  PALATE_RETURN_IF_ERROR(lm->Check(sequence));
  PALATE_ASSIGN_OR_RETURN(const std::vector<int64_t> continuation, CatchTorch([&] {
                            const c10::InferenceMode inference;
                            return lm->Greedy(sequence, /*max_new_tokens=*/4);
                          }));

  EXPECT_EQ(continuation.size(), 4u);
  return absl::OkStatus();
}

TEST(UsageExampleTest, CausalLm) {
  ExpectExampleOf("models/causal_lm/causal_lm.h");

  const Golden golden("qwen3-gqa");
  PALATE_SKIP_WITHOUT(golden);
  const absl::Status status = UseCausalLm(golden.checkpoint());
  EXPECT_TRUE(status.ok()) << status;
}

// Two texts of two tokens each.
PaddedIds TwoTexts() {
  PaddedIds batch;
  batch.ids = {5, 6, 7, 8};
  batch.width = 2;
  return batch;
}

at::Tensor BlackPixels(int64_t side) { return at::zeros({1, 3, side, side}); }

absl::Status UseClip(const Checkpoint& checkpoint, const PaddedIds& batch,
                     const at::Tensor& pixels) {
  PALATE_ASSIGN_OR_RETURN(const auto model, ClipModel::Load(checkpoint));
  PALATE_ASSIGN_OR_RETURN(
      const at::Tensor logits, CatchTorch([&] {
        const c10::InferenceMode inference;
        const at::Tensor ids = at::tensor(batch.ids, at::kLong).view({-1, batch.width});
        return model->LogitsPerText(model->TextFeatures(ids), model->ImageFeatures(pixels));
      }));

  EXPECT_EQ(logits.sizes(), (std::vector<int64_t>{2, 1}));
  return absl::OkStatus();
}

TEST(UsageExampleTest, Clip) {
  ExpectExampleOf("models/families/clip/clip.h");

  const Golden golden("clip-base");
  PALATE_SKIP_WITHOUT(golden);
  const Checkpoint checkpoint = *Checkpoint::Open(golden.checkpoint());
  const int64_t side = ClipConfig::FromJson(checkpoint.config())->vision.image_size;
  const absl::Status status = UseClip(checkpoint, TwoTexts(), BlackPixels(side));
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseSiglip(const Checkpoint& checkpoint, const PaddedIds& batch,
                       const at::Tensor& pixels) {
  PALATE_ASSIGN_OR_RETURN(const auto model, SiglipModel::Load(checkpoint));
  PALATE_ASSIGN_OR_RETURN(
      const at::Tensor logits, CatchTorch([&] {
        const c10::InferenceMode inference;
        const at::Tensor ids = at::tensor(batch.ids, at::kLong).view({-1, batch.width});
        return model->LogitsPerText(model->TextFeatures(ids), model->ImageFeatures(pixels));
      }));

  EXPECT_EQ(logits.sizes(), (std::vector<int64_t>{2, 1}));
  return absl::OkStatus();
}

TEST(UsageExampleTest, Siglip) {
  ExpectExampleOf("models/families/siglip/siglip.h");

  const Golden golden("siglip-base");
  PALATE_SKIP_WITHOUT(golden);
  const Checkpoint checkpoint = *Checkpoint::Open(golden.checkpoint());
  const int64_t side = SiglipConfig::FromJson(checkpoint.config())->vision.image_size;
  const absl::Status status = UseSiglip(checkpoint, TwoTexts(), BlackPixels(side));
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseVit(const Checkpoint& checkpoint, const at::Tensor& pixels) {
  PALATE_ASSIGN_OR_RETURN(const auto model, VitModel::Load(checkpoint));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor vectors, CatchTorch([&] {
                            const c10::InferenceMode inference;
                            return model->Embed(pixels);
                          }));

  EXPECT_EQ(vectors.sizes(), (std::vector<int64_t>{1, model->config().output_dim()}));
  return absl::OkStatus();
}

absl::Status UseEfficientNetLite(const Checkpoint& checkpoint, const at::Tensor& pixels) {
  PALATE_ASSIGN_OR_RETURN(const auto model, EfficientNetLite::Load(checkpoint));
  PALATE_ASSIGN_OR_RETURN(const at::Tensor features, CatchTorch([&] {
                            const c10::InferenceMode inference;
                            return model->Features(pixels);
                          }));

  EXPECT_EQ(features.sizes(), (std::vector<int64_t>{1, EfficientNetLiteConfig::kFeatures}));
  return absl::OkStatus();
}

TEST(UsageExampleTest, EfficientNetLite) {
  ExpectExampleOf("models/families/efficientnet/efficientnet.h");

  const Checkpoint checkpoint = *Checkpoint::Open(
      std::string(PALATE_SOURCE_DIR) + "/tests/goldens/efficientnet_lite-tiny/checkpoint");
  const int64_t side = EfficientNetLiteConfig::FromJson(checkpoint.config())->image_size;
  const absl::Status status = UseEfficientNetLite(checkpoint, BlackPixels(side));
  EXPECT_TRUE(status.ok()) << status;
}

TEST(UsageExampleTest, Vit) {
  ExpectExampleOf("models/families/vit/vit.h");

  const Checkpoint checkpoint =
      *Checkpoint::Open(std::string(PALATE_SOURCE_DIR) + "/tests/goldens/vit-model/checkpoint");
  const int64_t side = VitConfig::FromJson(checkpoint.config())->image_size;
  const absl::Status status = UseVit(checkpoint, BlackPixels(side));
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace palate::models
