#include "models/checkpoint/adapter.h"

#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/decoder/decoder.h"
#include "tests/models/golden_tensors.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

class GoldenAdapterTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenAdapterTest, MergedModelEqualsTheReference) {
  const Golden golden(GetParam());
  PALATE_SKIP_WITHOUT(golden);
  const auto base = AdapterBaseFolder(golden.checkpoint());
  ASSERT_TRUE(base.ok()) << base.status();

  const auto model = DecoderModel::Load(*Checkpoint::Open(*base), {.adapter = golden.checkpoint()});
  ASSERT_TRUE(model.ok()) << model.status();

  const c10::InferenceMode inference;
  const TensorMap tensors = ReferenceTensors(golden);

  const auto expected = golden.expected();
  for (size_t n = 0; n < expected["logits"].size(); ++n) {
    const at::Tensor hidden =
        (*model)->Forward(PackTokens({Ids(expected["logits"][n]["input_ids"])}));
    ExpectClose((*model)->Logits(hidden), tensors.at("logits." + std::to_string(n)), 1e-4,
                "logits " + std::to_string(n));
  }
}

INSTANTIATE_TEST_SUITE_P(Lora, GoldenAdapterTest,
                         ::testing::Values("lora-qwen3", "lora-qwen3_rslora"));

// A base of two linear layers and an embedding, and an adapter on some of them.
class AdapterTest : public ::testing::Test {
 protected:
  AdapterTest() {
    WriteAll(base_.file("config.json"), "{}");
    EXPECT_TRUE(SaveTensors(weights_, base_.file("model.safetensors")).ok());
    for (const char* module : {"layers.0.q_proj", "layers.1.q_proj"}) AddUpdate(module, 2);
    WriteAdapter();
  }

  void AddUpdate(const std::string& module, int64_t rank) {
    const std::string name = "base_model.model.model." + module;
    lora_[name + ".lora_A.weight"] = at::randn({rank, 3});
    lora_[name + ".lora_B.weight"] = at::randn({4, rank});
  }
  void WriteAdapter() {
    WriteAll(folder_.file("adapter_config.json"), config_.dump());
    EXPECT_TRUE(SaveTensors(lora_, folder_.file("adapter_model.safetensors")).ok());
  }
  at::Tensor Half(const std::string& module, const std::string& half) const {
    return lora_.at("base_model.model.model." + module + ".lora_" + half + ".weight");
  }

  absl::Status Load() {
    WriteAdapter();
    const auto adapter = Adapter::Open(folder_.path());
    if (!adapter.ok()) return adapter.status();

    const ParameterList list = {{"model.layers.0.q_proj.weight", {4, 3}, {}, &first_},
                                {"model.layers.1.q_proj.weight", {4, 3}, {}, &second_},
                                {"model.embed_tokens.weight", {5, 3}, {}, &embedding_}};

    return LoadParameters(
        *Checkpoint::Open(base_.path()), list,
        {.prefixes = {"model.", ""}, .replaced_prefix = "model.", .adapter = &*adapter});
  }

  // Expects that a setting is refused with an error that names it.
  void ExpectUnsupported(const std::string& key, const nlohmann::json& value) {
    const nlohmann::json before = config_;
    config_[key] = value;
    const absl::Status status = Load();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << key << ": " << status;
    EXPECT_THAT(MessageOf(status), HasSubstr(key));
    config_ = before;
  }

  TempFolder base_;
  TempFolder folder_;
  const std::map<std::string, at::Tensor> weights_ = {{"layers.0.q_proj.weight", at::randn({4, 3})},
                                                      {"layers.1.q_proj.weight", at::randn({4, 3})},
                                                      {"embed_tokens.weight", at::randn({5, 3})}};
  std::map<std::string, at::Tensor> lora_;
  nlohmann::json config_ = {{"peft_type", "LORA"},
                            {"r", 2},
                            {"lora_alpha", 6},
                            {"target_modules", {"q_proj"}},
                            {"bias", "none"}};
  at::Tensor first_, second_, embedding_;
};

TEST_F(AdapterTest, AddsTheScaledProductToTheWeightsThatItNames) {
  ASSERT_TRUE(Load().ok()) << Load();
  ExpectClose(first_,
              weights_.at("layers.0.q_proj.weight") +
                  3.0 * Half("layers.0.q_proj", "B").matmul(Half("layers.0.q_proj", "A")),
              1e-5, "merged");
  EXPECT_TRUE(at::equal(embedding_, weights_.at("embed_tokens.weight")));
}

TEST_F(AdapterTest, ScalesByTheRootOfTheRankWhenRankStabilized) {
  config_["use_rslora"] = true;
  ASSERT_TRUE(Load().ok()) << Load();

  const double scaling = 6 / std::sqrt(2.0);
  ExpectClose(first_,
              weights_.at("layers.0.q_proj.weight") +
                  scaling * Half("layers.0.q_proj", "B").matmul(Half("layers.0.q_proj", "A")),
              1e-5, "merged");
}

TEST_F(AdapterTest, TakesRankAndAlphaOfAModuleFromTheFirstPatternThatMatches) {
  AddUpdate("layers.1.q_proj", 4);
  config_["rank_pattern"] = {{"1.q_proj", 4}};
  config_["alpha_pattern"] = {{"^model.layers.[1-9].q_proj", 2}};

  ASSERT_TRUE(Load().ok()) << Load();
  ExpectClose(second_,
              weights_.at("layers.1.q_proj.weight") +
                  0.5 * Half("layers.1.q_proj", "B").matmul(Half("layers.1.q_proj", "A")),
              1e-5, "merged");
  ExpectClose(first_,
              weights_.at("layers.0.q_proj.weight") +
                  3.0 * Half("layers.0.q_proj", "B").matmul(Half("layers.0.q_proj", "A")),
              1e-5, "merged");
}

TEST_F(AdapterTest, UpdatesEmbeddingsByTheTransposedProduct) {
  const at::Tensor a = at::randn({2, 5});
  const at::Tensor b = at::randn({3, 2});
  lora_["base_model.model.model.embed_tokens.lora_embedding_A"] = a;
  lora_["base_model.model.model.embed_tokens.lora_embedding_B"] = b;

  config_["target_modules"].push_back("embed_tokens");
  ASSERT_TRUE(Load().ok()) << Load();
  ExpectClose(embedding_, weights_.at("embed_tokens.weight") + 3.0 * b.matmul(a).t(), 1e-5,
              "merged");
}

TEST_F(AdapterTest, ReplacesModulesThatWereTrainedWhole) {
  lora_["base_model.model.model.embed_tokens.weight"] = at::ones({5, 3});
  config_["modules_to_save"] = {"embed_tokens"};
  ASSERT_TRUE(Load().ok()) << Load();
  EXPECT_TRUE(at::equal(embedding_, at::ones({5, 3})));

  config_["modules_to_save"] = {"embed_tokens", "lm_head"};
  EXPECT_THAT(MessageOf(Load()), HasSubstr("lm_head"));
}

TEST_F(AdapterTest, FindsModulesNamedWithoutTheWrapper) {
  std::map<std::string, at::Tensor> bare;
  for (const auto& [name, tensor] : lora_)
    bare["base_model.model." + name.substr(std::string("base_model.model.model.").size())] = tensor;

  const at::Tensor update = Half("layers.0.q_proj", "B").matmul(Half("layers.0.q_proj", "A"));
  lora_ = bare;

  ASSERT_TRUE(Load().ok()) << Load();
  ExpectClose(first_, weights_.at("layers.0.q_proj.weight") + 3.0 * update, 1e-5, "merged");
}

TEST_F(AdapterTest, RefusesByNameWhatItDoesNotMerge) {
  ExpectUnsupported("use_dora", true);
  ExpectUnsupported("bias", "lora_only");
  ExpectUnsupported("lora_bias", true);
  ExpectUnsupported("layer_replication", {{0, 1}});
  ExpectUnsupported("trainable_token_indices", {1, 2});
  ExpectUnsupported("init_lora_weights", "pissa_niter_4");
  ExpectUnsupported("peft_type", "IA3");
}

TEST_F(AdapterTest, ListsWhatDoesNotFitTheModel) {
  AddUpdate("layers.7.q_proj", 2);
  lora_["base_model.model.model.layers.0.q_proj.lora_B.weight"] = at::randn({5, 2});

  const absl::Status status = Load();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(status), HasSubstr("layers.7.q_proj\" is not in the model"));
  EXPECT_THAT(MessageOf(status), HasSubstr("model.layers.0.q_proj updates [5, 3]"));
}

TEST_F(AdapterTest, ListsWhatDoesNotFitItsConfig) {
  AddUpdate("layers.1.q_proj", 3);
  lora_.erase("base_model.model.model.layers.0.q_proj.lora_B.weight");
  lora_["base_model.model.model.layers.0.q_proj.lora_magnitude_vector"] = at::ones({4});
  config_["target_modules"].push_back("v_proj");

  const absl::Status status = Load();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(status), HasSubstr("expected rank 2"));
  EXPECT_THAT(MessageOf(status), HasSubstr("lacks one of A and B"));
  EXPECT_THAT(MessageOf(status), HasSubstr("lora_magnitude_vector"));
  EXPECT_THAT(MessageOf(status), HasSubstr("v_proj"));
}

TEST_F(AdapterTest, NamesABaseThatIsNoFolder) {
  config_["base_model_name_or_path"] = "Some/Model-On-A-Hub";
  WriteAdapter();

  const absl::Status status = AdapterBaseFolder(folder_.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(MessageOf(status), HasSubstr("Some/Model-On-A-Hub"));
}

TEST(DecoderModelTest, RefusesAnAdapterOfSharedEmbeddings) {
  const TempFolder base, folder;
  DecoderConfig config;
  config.vocab_size = 5;
  config.hidden_size = 8;
  config.intermediate_size = 8;
  config.num_layers = 1;
  config.num_heads = 1;
  config.num_kv_heads = 1;
  config.head_dim = 8;
  config.max_positions = 8;

  ASSERT_TRUE((*DecoderModel::CreateRandom(config, 1))->Save(base.path()).ok());

  WriteAll(folder.file("adapter_config.json"),
           R"({"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["embed_tokens"]})");
  ASSERT_TRUE(
      SaveTensors({{"base_model.model.model.embed_tokens.lora_embedding_A", at::ones({1, 5})},
                   {"base_model.model.model.embed_tokens.lora_embedding_B", at::ones({8, 1})}},
                  folder.file("adapter_model.safetensors"))
          .ok());

  const auto model = DecoderModel::Load(*Checkpoint::Open(base.path()), {.adapter = folder.path()});
  EXPECT_EQ(model.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(MessageOf(model.status()), HasSubstr("embed_tokens"));
}

}  // namespace
}  // namespace palate::models
