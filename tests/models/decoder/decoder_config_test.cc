#include "models/decoder/decoder_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "models/families.h"

namespace palate::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

// config.json in the older spelling, as each family publishes it.
nlohmann::json Published(const std::string& family) {
  nlohmann::json json = {
      {"hidden_act", "silu"},           {"hidden_size", 64},        {"intermediate_size", 128},
      {"max_position_embeddings", 256}, {"model_type", family},     {"num_attention_heads", 4},
      {"num_hidden_layers", 3},         {"num_key_value_heads", 2}, {"rms_norm_eps", 1e-6},
      {"rope_theta", 5000.0},           {"vocab_size", 100}};

  if (family == "qwen3") json["head_dim"] = 32;
  return json;
}

absl::StatusOr<DecoderConfig> Read(const std::string& family,
                                   const nlohmann::json& changes = nlohmann::json::object()) {
  nlohmann::json json = Published(family);
  json.merge_patch(changes);
  return ReadDecoderConfig(JsonConfig(json, "config.json"));
}

class EveryFamilyTest : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryFamilyTest, NamesAMissingKey) {
  for (const char* key :
       {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "rms_norm_eps", "max_position_embeddings", "hidden_act"}) {
    const auto config = Read(GetParam(), {{key, nullptr}});
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << key;
    EXPECT_THAT(MessageOf(config.status()), HasSubstr(key));
  }
}

TEST_P(EveryFamilyTest, NamesWhatItDoesNotCompute) {
  const auto refused = [&](const nlohmann::json& changes, const std::string& name) {
    const absl::Status status = Read(GetParam(), changes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << name;
    EXPECT_THAT(MessageOf(status), HasSubstr(name));
  };

  refused({{"rope_scaling", {{"rope_type", "longrope"}}}}, "longrope");
  refused({{"rope_parameters", {{"full_attention", {{"rope_type", "default"}}}}}},
          "per layer type");
  refused({{"partial_rotary_factor", 0.5}}, "partial_rotary_factor");
  refused({{"hidden_act", "gelu"}}, "gelu");
  refused({{"is_causal", false}}, "is_causal");
  refused({{"causal", false}}, "causal is false");
  refused({{"use_bidirectional_attention", true}}, "use_bidirectional_attention");
  refused({{"position_embedding_type", "alibi"}}, "alibi");
  refused({{"attn_logit_softcapping", 50.0}}, "attn_logit_softcapping is");
  refused({{"quantization_config", {{"quant_method", "gptq"}}}}, "quantization_config");
}

TEST_P(EveryFamilyTest, ReadsBothSpellingsOfRope) {
  const nlohmann::json yarn = {
      {"rope_type", "yarn"}, {"factor", 2.0}, {"original_max_position_embeddings", 32}};
  nlohmann::json with_theta = yarn;
  with_theta["rope_theta"] = 7000.0;
  nlohmann::json old_name = yarn;
  old_name["type"] = old_name["rope_type"];
  old_name.erase("rope_type");

  const auto current = Read(GetParam(), {{"rope_theta", nullptr}, {"rope_parameters", with_theta}});
  const auto older = Read(GetParam(), {{"rope_theta", 7000.0}, {"rope_scaling", old_name}});

  for (const auto& config : {current, older}) {
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->rope.type, RopeConfig::Type::kYarn);
    EXPECT_EQ(config->rope.theta, 7000.0);
    EXPECT_EQ(config->rope.original_max_positions, 32);
    EXPECT_NEAR(config->rope.attention_factor, 0.1 * std::log(2.0) + 1.0, 1e-12);
  }

  EXPECT_EQ(Read(GetParam(), {{"rope_scaling", nullptr}})->rope.theta, 5000.0);
}

TEST_P(EveryFamilyTest, ReadsStopTokensAsOneOrMany) {
  EXPECT_THAT(Read(GetParam(), {{"eos_token_id", 3}})->eos_token_ids, ElementsAre(3));
  EXPECT_THAT(Read(GetParam(), {{"eos_token_id", {3, 5}}})->eos_token_ids, ElementsAre(3, 5));
  EXPECT_EQ(Read(GetParam(), {{"eos_token_id", "x"}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_P(EveryFamilyTest, RefusesSizesThatDoNotFit) {
  EXPECT_THAT(MessageOf(Read(GetParam(), {{"num_key_value_heads", 3}}).status()),
              HasSubstr("not a multiple"));
  EXPECT_THAT(MessageOf(Read(GetParam(), {{"vocab_size", 0}}).status()), HasSubstr("vocab_size"));
  EXPECT_THAT(MessageOf(Read(GetParam(), {{"head_dim", 15}}).status()), HasSubstr("head_dim"));
}

TEST_P(EveryFamilyTest, WritesAConfigThatItReadsBack) {
  const auto config = Read(GetParam(), {{"eos_token_id", 3}, {"tie_word_embeddings", true}});

  const auto json = config->ToJson();
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ((*json)["model_type"], GetParam());

  const auto again = ReadDecoderConfig(JsonConfig(*json, "config.json"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again->ToJson(), *json);
}

INSTANTIATE_TEST_SUITE_P(Families, EveryFamilyTest, ::testing::Values("qwen2", "qwen3", "llama"));

TEST(ReadQwen3ConfigTest, NormalizesQueriesAndKeysAndNeedsAHeadSize) {
  EXPECT_TRUE(Read("qwen3")->qk_norm);
  EXPECT_FALSE(Read("qwen3")->qkv_bias);
  EXPECT_TRUE(Read("qwen3", {{"attention_bias", true}})->o_bias);
  EXPECT_THAT(MessageOf(Read("qwen3", {{"head_dim", nullptr}}).status()), HasSubstr("head_dim"));
}

TEST(ReadQwen2ConfigTest, HasBiasesOnQueryKeyAndValueAndDerivesItsHeadSize) {
  const auto config = Read("qwen2");
  EXPECT_TRUE(config->qkv_bias);
  EXPECT_FALSE(config->o_bias);
  EXPECT_EQ(config->head_dim, 16);
  EXPECT_EQ(Read("qwen2", {{"head_dim", 32}})->head_dim, 32);
  EXPECT_EQ(Read("qwen2", {{"rope_theta", nullptr}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ReadSlidingWindowsTest, FollowsMaxWindowLayersOrLayerTypes) {
  EXPECT_TRUE(Read("qwen2",
                   {{"sliding_window", 8}, {"max_window_layers", 1}, {"use_sliding_window", false}})
                  ->sliding_windows.empty());
  EXPECT_THAT(
      Read("qwen2", {{"sliding_window", 8}, {"max_window_layers", 1}, {"use_sliding_window", true}})
          ->sliding_windows,
      ElementsAre(0, 8, 8));

  const nlohmann::json types = {"sliding_attention", "full_attention", "sliding_attention"};
  EXPECT_THAT(
      Read("qwen3", {{"sliding_window", 4}, {"use_sliding_window", true}, {"layer_types", types}})
          ->sliding_windows,
      ElementsAre(4, 0, 4));

  EXPECT_THAT(MessageOf(Read("qwen3", {{"layer_types", types}}).status()), HasSubstr("no window"));
  EXPECT_THAT(MessageOf(Read("qwen3", {{"layer_types", {"full_attention"}}}).status()),
              HasSubstr("does not name 3 layers"));
  EXPECT_EQ(
      Read("qwen3", {{"layer_types", {"linear_attention", "full_attention", "full_attention"}}})
          .status()
          .code(),
      absl::StatusCode::kUnimplemented);
}

TEST(ReadLlamaConfigTest, TakesWhatEarlyFoldersLackFromTheFormat) {
  const auto config = Read("llama", {{"num_key_value_heads", nullptr}, {"rope_theta", nullptr}});
  ASSERT_TRUE(config.ok()) << config.status();

  EXPECT_EQ(config->num_kv_heads, 4);
  EXPECT_EQ(config->rope.theta, 10000.0);
  EXPECT_EQ(config->head_dim, 16);
  EXPECT_FALSE(config->mlp_bias);
  EXPECT_TRUE(Read("llama", {{"mlp_bias", true}})->mlp_bias);
  EXPECT_TRUE(Read("llama", {{"attention_bias", true}})->o_bias);
}

// Values of the published formula for 8 dimensions and theta 10000, computed by hand: the
// wavelengths are 6.28, 62.8, 628 and 6283.
TEST(RopeInverseFrequenciesTest, StretchesOnlyLongWavelengthsOfLlama3) {
  RopeConfig rope;
  rope.type = RopeConfig::Type::kLlama3;
  rope.factor = 8;
  rope.low_freq_factor = 1;
  rope.high_freq_factor = 4;
  rope.original_max_positions = 200;

  const std::vector<float> frequencies = RopeInverseFrequencies(rope, 8);
  EXPECT_FLOAT_EQ(frequencies[0], 1.0f);
  const double smooth = (200 / 62.831853 - 1) / 3;
  EXPECT_NEAR(frequencies[1], (1 - smooth) * 0.1 / 8 + smooth * 0.1, 1e-6);
  EXPECT_FLOAT_EQ(frequencies[2], 0.01f / 8);
  EXPECT_FLOAT_EQ(frequencies[3], 0.001f / 8);
}

TEST(RopeInverseFrequenciesTest, StretchesAllWavelengthsWhenLinearAndNoneWhenDynamic) {
  RopeConfig rope;
  rope.factor = 4;
  rope.type = RopeConfig::Type::kLinear;
  EXPECT_FLOAT_EQ(RopeInverseFrequencies(rope, 4)[1], 0.01f / 4);
  rope.type = RopeConfig::Type::kDynamic;
  EXPECT_FLOAT_EQ(RopeInverseFrequencies(rope, 4)[1], 0.01f);
}

TEST(RopeConfigTest, RefusesSectionsThatDoNotFillAHead) {
  const nlohmann::json sections = {{"type", "mrope"}, {"mrope_section", {2, 3, 2}}};
  EXPECT_THAT(MessageOf(Read("qwen2", {{"rope_scaling", sections}}).status()),
              HasSubstr("covers 7 pairs"));

  EXPECT_TRUE(
      Read("qwen2", {{"rope_scaling", {{"type", "mrope"}, {"mrope_section", {2, 3, 3}}}}}).ok());
  EXPECT_FALSE(Read("qwen2", {{"rope_scaling", {{"type", "mrope"}, {"mrope_section", {8}}}}}).ok());
  EXPECT_FALSE(
      Read("qwen2", {{"rope_scaling", {{"type", "mrope"}, {"mrope_section", {-1, 8, 1}}}}}).ok());
}

}  // namespace
}  // namespace palate::models
