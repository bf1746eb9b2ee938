#include "models/checkpoint/config_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "models/families.h"
#include "tests/models/golden.h"

namespace palate::models {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

JsonConfig Config(const nlohmann::json& json) { return {json, "config.json"}; }

std::string Refusal(const nlohmann::json& json) {
  const absl::Status status = RefuseUnsupportedKeys(Config(json));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << json;
  return std::string(status.message());
}

TEST(RefuseUnsupportedKeysTest, NamesKeyAndValueOfWhatChangesNumbers) {
  const nlohmann::json changes = {
      {"attention_softcap", 30.0},
      {"attn_logit_softcapping", 50.0},
      {"final_logit_softcapping", 30.0},
      {"use_alibi", true},
      {"alibi", true},
      {"clip_qkv", 8.0},
      {"embedding_multiplier", 12.0},
      {"residual_multiplier", 0.22},
      {"logits_scaling", 8.0},
      {"logit_scale", 0.0625},
      {"num_experts", 64},
      {"num_local_experts", 8},
      {"rotary_pct", 0.25},
      {"rope_interleaved", true},
      {"attention_chunk_size", 8192},
      {"use_parallel_residual", true},
      {"pruned_heads", {{"0", {1, 2}}}},
      {"squeeze_expansion_ratio", 0.25},
      {"quantization_config", {{"quant_method", "gptq"}}},
  };
  for (const auto& [key, value] : changes.items()) {
    const nlohmann::json json = {{"model_type", "bert"}, {key, value}};
    EXPECT_THAT(Refusal(json),
                AllOf(HasSubstr("config.json: " + key), HasSubstr("remove the key")));
  }
  EXPECT_THAT(Refusal({{"attention_softcap", 30.0}}), HasSubstr("attention_softcap is 30.0,"));
}

TEST(RefuseUnsupportedKeysTest, AcceptsKeysThatAreOffOrNeutral) {
  const std::vector<nlohmann::json> neutral = {{{"attention_softcap", nullptr}},
                                               {{"attention_softcap", 0}},
                                               {{"use_alibi", false}},
                                               {{"pruned_heads", {}}},
                                               {{"residual_multiplier", 1.0}},
                                               {{"logit_scale", 1}},
                                               {{"num_experts", 0}},
                                               {{"rotary_pct", 1.0}},
                                               {{"quantization_config", nullptr}}};
  for (const nlohmann::json& json : neutral)
    EXPECT_TRUE(RefuseUnsupportedKeys(Config(json)).ok()) << json;
}

TEST(RefuseUnsupportedKeysTest, LooksIntoNestedConfigs) {
  EXPECT_THAT(Refusal({{"text_config", {{"attn_logit_softcapping", 50.0}}}}),
              HasSubstr("config.json: text_config: attn_logit_softcapping"));
  EXPECT_THAT(Refusal({{"vision_config", {{"quantization_config", {{"bits", 4}}}}}}),
              HasSubstr("vision_config: quantization_config"));
  EXPECT_THAT(Refusal({{"rope_scaling", {{"use_dynamic_ntk", true}}}}),
              HasSubstr("rope_scaling: use_dynamic_ntk"));
}

TEST(UnknownConfigKeysTest, NamesKeysThatAreSetAndThatNobodyKnows) {
  const nlohmann::json json = {{"model_type", "qwen3"},
                               {"hidden_size", 64},
                               {"some_factor", 2},
                               {"an_absent_feature", false},
                               {"another", nullptr},
                               {"_name_or_path", "somewhere"},
                               {"auto_map", {{"AutoModel", "modeling.Own"}}},
                               {"rope_scaling", {{"rope_type", "yarn"}, {"warp", 3}}}};
  EXPECT_THAT(UnknownConfigKeys(Config(json)),
              ElementsAre("auto_map", "rope_scaling.warp", "some_factor"));
}

TEST(UnknownConfigKeysTest, NamesKeysThatOnlyOtherFamiliesRead) {
  EXPECT_THAT(UnknownConfigKeys(Config({{"model_type", "llama"}, {"sliding_window", 4096}})),
              ElementsAre("sliding_window"));
  EXPECT_THAT(UnknownConfigKeys(Config({{"model_type", "qwen2"}, {"sliding_window", 4096}})),
              IsEmpty());
  EXPECT_THAT(UnknownConfigKeys(Config({{"model_type", "bert"}, {"rope_theta", 1e4}})),
              ElementsAre("rope_theta"));
}

// As published with CLIP: every field of the base class, in each nested config.
TEST(UnknownConfigKeysTest, KnowsTheKeysThatEveryPublishedConfigMayHave) {
  const nlohmann::json base = {{"add_cross_attention", false},
                               {"chunk_size_feed_forward", 0},
                               {"diversity_penalty", 0.0},
                               {"early_stopping", false},
                               {"id2label", {{"0", "LABEL_0"}}},
                               {"label2id", {{"LABEL_0", 0}}},
                               {"length_penalty", 1.0},
                               {"max_length", 20},
                               {"num_beams", 1},
                               {"repetition_penalty", 1.0},
                               {"return_dict", true},
                               {"temperature", 1.0},
                               {"top_k", 50},
                               {"top_p", 1.0},
                               {"torch_dtype", "float32"},
                               {"transformers_version", "4.16.0"},
                               {"typical_p", 1.0}};
  const nlohmann::json clip = {{"model_type", "clip"},
                               {"logit_scale_init_value", 2.6592},
                               {"projection_dim", 512},
                               {"text_config", base},
                               {"vision_config", base}};
  EXPECT_THAT(UnknownConfigKeys(Config(clip)), IsEmpty());
}

TEST(UnknownConfigKeysTest, EveryReferenceFolderIsUnderstoodWhole) {
  int read = 0;
  for (const std::string& root :
       {SharedDir() + "/goldens", std::string(PALATE_SOURCE_DIR) + "/tests/goldens"}) {
    if (!std::filesystem::exists(root)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(root)) {
      const std::string file = entry.path().string() + "/checkpoint/config.json";
      if (!FileExists(file)) continue;
      const auto config = JsonConfig::Load(file);
      ASSERT_TRUE(config.ok()) << config.status();
      EXPECT_TRUE(RefuseUnsupportedKeys(*config).ok()) << file;
      EXPECT_THAT(UnknownConfigKeys(*config), IsEmpty()) << file;
      ++read;
    }
  }
  EXPECT_GT(read, 5);
}

}  // namespace
}  // namespace palate::models
