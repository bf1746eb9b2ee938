#include "models/checkpoint/checkpoint.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/checkpoint/parameters.h"
#include "models/registry.h"
#include "tests/models/golden.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

// A folder with a config and two tensors.
class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    WriteAll(folder_.file("config.json"), R"({"model_type": "test"})");
    Save({{"a.weight", at::arange(6, at::kFloat).reshape({2, 3})}, {"b", at::ones({4})}});
  }
  void Save(const std::map<std::string, at::Tensor>& tensors) {
    ASSERT_TRUE(SaveTensors(tensors, folder_.file("model.safetensors")).ok());
  }
  absl::Status Load(const LoadOptions& options = {}) {
    auto checkpoint = Checkpoint::Open(folder_.path());
    if (!checkpoint.ok()) return checkpoint.status();

    return LoadParameters(*checkpoint, {{"a.weight", {2, 3}, {}, &a_}, {"b", {4}, {}, &b_}},
                          options);
  }

  TempFolder folder_;
  at::Tensor a_;
  at::Tensor b_;
};

TEST_F(CheckpointTest, LoadsFloatTensorsAsViewsThatOutliveTheCheckpoint) {
  ASSERT_TRUE(Load().ok());
  EXPECT_EQ(a_[1][2].item<float>(), 5.0f);
  EXPECT_FALSE(a_.requires_grad());
}

TEST_F(CheckpointTest, LoadsWritableTensorsWithGradientsForTraining) {
  ASSERT_TRUE(Load({.trainable = true}).ok());
  EXPECT_TRUE(a_.requires_grad());
  const c10::NoGradGuard no_grad;
  a_.add_(1);
  EXPECT_EQ(a_[0][0].item<float>(), 1.0f);
}

TEST_F(CheckpointTest, WidensNarrowFloatTypes) {
  Save({{"a.weight", at::full({2, 3}, 1.5).to(at::kBFloat16)},
        {"b", at::full({4}, 0.25).to(at::kHalf)}});
  ASSERT_TRUE(Load().ok());

  EXPECT_EQ(a_.scalar_type(), at::kFloat);
  EXPECT_EQ(a_[0][0].item<float>(), 1.5f);
  EXPECT_EQ(b_[0].item<float>(), 0.25f);
}

TEST_F(CheckpointTest, ConvertsToTheComputeTypeAndKeepsWhatIsStoredInIt) {
  const at::Tensor stored = at::randn({2, 3}).to(at::kBFloat16);
  Save({{"a.weight", stored}, {"b", at::full({4}, 0.25)}});
  ASSERT_TRUE(Load({.dtype = at::kBFloat16}).ok());

  EXPECT_TRUE(at::equal(a_, stored));
  EXPECT_TRUE(at::equal(b_, at::full({4}, 0.25).to(at::kBFloat16)));
}

// Conversion works in pieces. A tensor of many pieces must be complete.
TEST_F(CheckpointTest, ConvertsTensorsLargerThanAPiece) {
  const at::Tensor stored = at::randn({3000, 1001}).to(at::kHalf);
  Save({{"large", stored}});

  at::Tensor loaded;
  ASSERT_TRUE(
      LoadParameters(*Checkpoint::Open(folder_.path()), {{"large", {3000, 1001}, {}, &loaded}}, {})
          .ok());
  EXPECT_TRUE(at::equal(loaded, stored.to(at::kFloat)));
}

TEST_F(CheckpointTest, ReplacesThePrefixOfListedNamesOnly) {
  Save({{"norm", at::ones({4})}, {"head", at::ones({2})}, {"layers.0.inv_freq", at::ones({1})}});
  at::Tensor norm, head;
  const ParameterList list = {{"model.norm", {4}, {}, &norm}, {"head", {2}, {}, &head}};

  const auto load = [&](const LoadOptions& options) {
    return LoadParameters(*Checkpoint::Open(folder_.path()), list, options);
  };

  EXPECT_TRUE(load({.prefixes = {"model.", ""},
                    .replaced_prefix = "model.",
                    .ignored_suffixes = {".inv_freq"}})
                  .ok());
  EXPECT_THAT(MessageOf(load({.prefixes = {"model.", ""}, .replaced_prefix = "model."})),
              HasSubstr("layers.0.inv_freq"));
}

TEST_F(CheckpointTest, FindsTensorsUnderAKnownPrefix) {
  Save({{"model.a.weight", at::ones({2, 3})}, {"model.b", at::ones({4})}});
  EXPECT_TRUE(Load({.prefixes = {"", "model."}}).ok());
}

TEST_F(CheckpointTest, ListsMissingWrongAndLeftOverTensors) {
  Save({{"a.weight", at::ones({3, 2})}, {"c.extra", at::ones({1})}});
  const absl::Status status = Load();

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(status), HasSubstr(folder_.path()));
  EXPECT_THAT(MessageOf(status), HasSubstr("missing tensors: b"));
  EXPECT_THAT(MessageOf(status), HasSubstr("a.weight is [3, 2], expected [2, 3]"));
  EXPECT_THAT(MessageOf(status), HasSubstr("c.extra"));
}

TEST_F(CheckpointTest, IgnoresTensorsOfPartsThatTheFamilyDoesNotUse) {
  Save({{"a.weight", at::ones({2, 3})}, {"b", at::ones({4})}, {"pooler.weight", at::ones({1})}});
  EXPECT_FALSE(Load().ok());
  EXPECT_TRUE(Load({.ignored_prefixes = {"pooler."}}).ok());
}

TEST_F(CheckpointTest, RefusesIntegerWeights) {
  Save({{"a.weight", at::ones({2, 3}, at::kInt)}, {"b", at::ones({4})}});
  EXPECT_THAT(MessageOf(Load()), HasSubstr("a.weight is I32, not floating"));
}

TEST_F(CheckpointTest, DigestFollowsTheContent) {
  const auto first = Checkpoint::Open(folder_.path())->WeightsDigest();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->size(), 64u);
  EXPECT_EQ(*Checkpoint::Open(folder_.path())->WeightsDigest(), *first);

  Save({{"a.weight", at::zeros({2, 3})}, {"b", at::ones({4})}, {"c", at::ones({1})}});
  EXPECT_NE(*Checkpoint::Open(folder_.path())->WeightsDigest(), *first);
}

TEST_F(CheckpointTest, SaysWhatAFolderLacks) {
  std::filesystem::remove(folder_.file("model.safetensors"));
  EXPECT_EQ(Load().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(MessageOf(Load()), HasSubstr("holds no weights"));

  std::filesystem::remove(folder_.file("config.json"));
  EXPECT_EQ(Load().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(MessageOf(Load()), HasSubstr("config.json"));
}

TEST_F(CheckpointTest, ReportsACorruptConfig) {
  WriteAll(folder_.file("config.json"), "{\"a\": ");
  EXPECT_EQ(Load().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(Load()), HasSubstr("config.json is not valid JSON"));
}

// The same tensors in two shards.
class ShardedCheckpointTest : public CheckpointTest {
 protected:
  ShardedCheckpointTest() {
    std::filesystem::remove(folder_.file("model.safetensors"));
    EXPECT_TRUE(SaveTensors({{"a.weight", at::ones({2, 3})}}, folder_.file("s1.safetensors")).ok());
    EXPECT_TRUE(SaveTensors({{"b", at::ones({4})}}, folder_.file("s2.safetensors")).ok());
    WriteIndex(R"({"weight_map": {"a.weight": "s1.safetensors", "b": "s2.safetensors"}})");
  }
  void WriteIndex(const std::string& json) {
    WriteAll(folder_.file("model.safetensors.index.json"), json);
  }
};

TEST_F(ShardedCheckpointTest, LoadsAllShards) { EXPECT_TRUE(Load().ok()) << Load(); }

TEST_F(ShardedCheckpointTest, ReportsAMissingShard) {
  std::filesystem::remove(folder_.file("s2.safetensors"));
  EXPECT_EQ(Load().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(MessageOf(Load()), HasSubstr("s2.safetensors"));
}

TEST_F(ShardedCheckpointTest, ReportsAnIndexThatDisagreesWithItsShards) {
  WriteIndex(R"({"weight_map": {"a.weight": "s1.safetensors", "b": "s1.safetensors"}})");
  EXPECT_EQ(Load().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(MessageOf(Load()), HasSubstr("which does not hold it"));
}

TEST_F(ShardedCheckpointTest, RefusesShardsOutsideOfTheFolder) {
  WriteIndex(R"({"weight_map": {"a.weight": "../s1.safetensors"}})");
  EXPECT_THAT(MessageOf(Load()), HasSubstr("not a plain file name"));
}

TEST_F(ShardedCheckpointTest, ReportsATruncatedShard) {
  const std::string whole = ReadAll(folder_.file("s1.safetensors"));
  WriteAll(folder_.file("s1.safetensors"), whole.substr(0, whole.size() - 1));
  EXPECT_EQ(Load().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(MessageOf(Load()), HasSubstr("s1.safetensors"));
}

TEST(InitializeParametersTest, GivesTheSameValuesForTheSameSeed) {
  at::Tensor a, b, c;
  ASSERT_TRUE(InitializeParameters({{"a", {100}, Init::Normal(0.5), &a}}, 1, true).ok());
  ASSERT_TRUE(InitializeParameters({{"a", {100}, Init::Normal(0.5), &b}}, 1, true).ok());
  ASSERT_TRUE(InitializeParameters({{"a", {100}, Init::Normal(0.5), &c}}, 2, true).ok());

  EXPECT_TRUE(at::equal(a, b));
  EXPECT_FALSE(at::equal(a, c));
  EXPECT_NEAR(a.std().item<float>(), 0.5, 0.15);
  EXPECT_TRUE(a.requires_grad());
}

TEST(JsonConfigTest, NamesFileAndKeyOfWhatIsMissingOrMistyped) {
  const auto config = JsonConfig::Parse(R"({"n": "x", "null": null, "f": 1.5})", "config.json");
  ASSERT_TRUE(config.ok());

  EXPECT_THAT(MessageOf(config->Int("absent").status()),
              HasSubstr("config.json lacks the key \"absent\""));
  EXPECT_THAT(MessageOf(config->Int("null").status()), HasSubstr("lacks"));
  EXPECT_THAT(MessageOf(config->Int("n").status()), HasSubstr("\"n\" is not an integer"));
  EXPECT_THAT(MessageOf(config->Int("f").status()), HasSubstr("not an integer"));

  EXPECT_EQ(*config->IntOr("absent", 3), 3);
  EXPECT_FALSE(config->IntOr("n", 3).ok());
}

TEST(JsonConfigTest, RefusesDeepNesting) {
  const std::string deep = "{\"a\": " + std::string(1000, '[') + std::string(1000, ']') + "}";
  EXPECT_THAT(MessageOf(JsonConfig::Parse(deep, "config.json").status()),
              HasSubstr("nested deeper"));
  EXPECT_TRUE(
      JsonConfig::Parse(
          R"({"a": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["})",
          "config.json")
          .ok());
}

TEST(FindModelFamilyTest, KnowsFamiliesByTypeAndArchitecture) {
  const auto family = [](const std::string& json) {
    return FindModelFamily(*JsonConfig::Parse(json, "config.json"));
  };

  EXPECT_EQ(*family(R"({"model_type": "bert", "architectures": ["BertModel"]})"),
            ModelFamily::kBert);
  EXPECT_EQ(*family(R"({"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]})"),
            ModelFamily::kQwen3);
  EXPECT_EQ(*family(R"({"model_type": "vit"})"), ModelFamily::kVit);
  EXPECT_EQ(*family(R"({"model_type": "efficientnet_lite"})"), ModelFamily::kEfficientNetLite);
  EXPECT_EQ(*family(R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"]})"),
            ModelFamily::kLlama);
  EXPECT_EQ(*family(R"({"model_type": "siglip", "architectures": ["SiglipModel"]})"),
            ModelFamily::kSiglip);
  EXPECT_EQ(
      *family(
          R"({"model_type": "qwen3_vl", "architectures": ["Qwen3VLForConditionalGeneration"]})"),
      ModelFamily::kQwen3Vl);

  EXPECT_EQ(family(R"({"model_type": "bert", "architectures": "BertModel"})").status().code(),
            absl::StatusCode::kInvalidArgument);

  const auto unknown =
      family(R"({"model_type": "mamba", "architectures": ["MambaForCausalLM"]})").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(MessageOf(unknown), HasSubstr("MambaForCausalLM"));
  EXPECT_THAT(MessageOf(unknown), HasSubstr("supported are"));
}

}  // namespace
}  // namespace palate::models
