#include "models/qwen3/qwen3.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/text/tokenizer.h"
#include "models/torch_status.h"
#include "tests/models/golden_tensors.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<std::shared_ptr<const Qwen3Model>> LoadFolder(const std::string& folder) {
  auto checkpoint = Checkpoint::Open(folder);
  if (!checkpoint.ok()) return checkpoint.status();
  return Qwen3Model::Load(*checkpoint);
}

// Continues `prompt` by the best token, `steps` times, through the cache.
std::vector<int64_t> Greedy(const Qwen3Model& model, const std::vector<int64_t>& prompt, int steps) {
  KvCache cache = model.NewCache(1, static_cast<int64_t>(prompt.size()) + steps);
  std::vector<int64_t> next = prompt;
  std::vector<int64_t> generated;
  for (int step = 0; step < steps; ++step) {
    const at::Tensor hidden = model.Forward(PackTokens({next}), cache);
    const int64_t id = model.Logits(hidden.narrow(0, hidden.size(0) - 1, 1)).argmax(1).item<int64_t>();
    generated.push_back(id);
    next = {id};
  }
  return generated;
}

class GoldenQwen3Test : public ::testing::TestWithParam<const char*> {
 protected:
  GoldenQwen3Test() : golden_(GetParam()) {}
  void SetUp() override {
    PALATE_SKIP_WITHOUT(golden_);
    auto model = LoadFolder(golden_.checkpoint());
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *model;
    tensors_ = ReferenceTensors(golden_);
    expected_ = golden_.expected();
  }

  const c10::InferenceMode inference_;
  Golden golden_;
  std::shared_ptr<const Qwen3Model> model_;
  TensorMap tensors_;
  nlohmann::ordered_json expected_;
};

TEST_P(GoldenQwen3Test, HiddenStatesAndLogitsEqualTheReference) {
  for (size_t n = 0; n < expected_["logits"].size(); ++n) {
    const std::string number = std::to_string(n);
    const at::Tensor hidden = model_->Forward(PackTokens({Ids(expected_["logits"][n]["input_ids"])}));
    ExpectClose(hidden, tensors_.at("last_hidden_state." + number), 1e-4, "hidden states " + number);
    ExpectClose(model_->Logits(hidden), tensors_.at("logits." + number), 1e-4, "logits " + number);
  }
}

TEST_P(GoldenQwen3Test, BatchEqualsTheReferenceWithoutInfluenceOfPadding) {
  const at::Tensor ids = tensors_.at("batch.input_ids");
  const at::Tensor mask = tensors_.at("batch.attention_mask");
  std::vector<std::vector<int64_t>> sequences;
  for (int64_t i = 0; i < ids.size(0); ++i) sequences.push_back(Ids(ids[i].masked_select(mask[i].to(at::kBool))));
  const PackedTokens packed = PackTokens(sequences);
  const at::Tensor hidden = model_->Forward(packed);
  int64_t end = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    end += packed.lengths[i];
    const at::Tensor last = model_->Logits(hidden.narrow(0, end - 1, 1));
    ExpectClose(last[0], tensors_.at("batch.last_logits")[static_cast<int64_t>(i)], 1e-4, "sequence " + std::to_string(i));
    const at::Tensor alone = model_->Forward(PackTokens({sequences[i]}));
    ExpectClose(hidden.narrow(0, end - packed.lengths[i], packed.lengths[i]), alone, 1e-5, "alone " + std::to_string(i));
  }
}

TEST_P(GoldenQwen3Test, GreedyContinuationThroughTheCacheEqualsTheReference) {
  const int steps = golden_.inputs()["greedy_new_tokens"];
  int compared = 0;
  for (const auto& test : expected_["greedy"]) {
    if (test["min_top2_gap"].get<double>() < 2e-4) continue;
    EXPECT_EQ(Greedy(*model_, Ids(test["input_ids"]), steps), Ids(test["new_ids"])) << test["prompt"];
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

TEST_P(GoldenQwen3Test, ScoresOfContinuationsEqualTheReference) {
  for (size_t n = 0; n < expected_["score"].size(); ++n) {
    const auto prompt = Ids(expected_["score"][n]["prompt_ids"]);
    const auto continuation = Ids(expected_["score"][n]["continuation_ids"]);
    std::vector<int64_t> all = prompt;
    all.insert(all.end(), continuation.begin(), continuation.end());
    const at::Tensor hidden = model_->Forward(PackTokens({all}));
    const auto count = static_cast<int64_t>(continuation.size());
    const at::Tensor rows = hidden.narrow(0, static_cast<int64_t>(prompt.size()) - 1, count);
    const at::Tensor chosen =
        at::log_softmax(model_->Logits(rows), 1).gather(1, at::tensor(continuation, at::kLong).unsqueeze(1)).squeeze(1);
    ExpectClose(chosen, tensors_.at("score." + std::to_string(n)), 1e-4, "score " + std::to_string(n));
  }
}

TEST_P(GoldenQwen3Test, LabelLogitsGiveTheReferenceRerankScores) {
  const auto& rerank = expected_["rerank"];
  const std::vector<int64_t> labels = {rerank["no_id"].get<int64_t>(), rerank["yes_id"].get<int64_t>()};
  for (size_t n = 0; n < rerank["cases"].size(); ++n) {
    const at::Tensor hidden = model_->Forward(PackTokens({Ids(rerank["cases"][n]["input_ids"])}));
    const at::Tensor logits = model_->LabelLogits(hidden.narrow(0, hidden.size(0) - 1, 1), labels)[0];
    const auto row = static_cast<int64_t>(n);
    ExpectClose(logits, tensors_.at("rerank.no_yes_logits")[row], 1e-4, "label logits");
    ExpectClose(at::softmax(logits, 0)[1], tensors_.at("rerank.scores")[row], 1e-5, "score");
  }
}

INSTANTIATE_TEST_SUITE_P(Qwen3, GoldenQwen3Test, ::testing::Values("qwen3-gqa", "qwen3-yarn"));

Qwen3Config SmallConfig() {
  Qwen3Config config;
  config.vocab_size = 50;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.num_layers = 2;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 16;
  config.max_positions = 64;
  config.initializer_range = 0.1;
  config.eos_token_ids = {49};
  return config;
}

std::unique_ptr<Qwen3Model> RandomModel() { return *Qwen3Model::CreateRandom(SmallConfig(), 1); }

TEST(Qwen3Model, CacheInAnyStepsEqualsOneForward) {
  const c10::InferenceMode inference;
  const auto model = RandomModel();
  const std::vector<std::vector<int64_t>> sequences = {{1, 2, 3, 4, 5, 6, 7}, {9, 8, 7, 6, 5, 4, 3}, {4, 4, 4, 9, 9, 9, 1}};
  const at::Tensor whole = model->Forward(PackTokens(sequences)).view({3, 7, -1});
  // Prefixes of different lengths, then two tokens each, then one at a time.
  KvCache cache = model->NewCache(3, 7);
  std::vector<size_t> seen = {0, 0, 0};
  const std::vector<std::vector<size_t>> steps = {{1, 3, 3}, {2, 2, 2}, {1, 1, 1}, {3, 1, 1}};
  for (const std::vector<size_t>& step : steps) {
    std::vector<std::vector<int64_t>> next;
    for (size_t i = 0; i < 3; ++i) {
      const auto begin = sequences[i].begin() + static_cast<ptrdiff_t>(seen[i]);
      next.emplace_back(begin, begin + static_cast<ptrdiff_t>(step[i]));
    }
    const at::Tensor hidden = model->Forward(PackTokens(next), cache);
    int64_t row = 0;
    for (size_t i = 0; i < 3; ++i) {
      const auto count = static_cast<int64_t>(step[i]);
      ExpectClose(hidden.narrow(0, row, count), whole[static_cast<int64_t>(i)].narrow(0, static_cast<int64_t>(seen[i]), count), 1e-5,
                  "sequence " + std::to_string(i));
      row += count;
      seen[i] += step[i];
      EXPECT_EQ(cache.length(static_cast<int64_t>(i)), static_cast<int64_t>(seen[i]));
    }
  }
}

TEST(Qwen3Model, SelectedCacheRowsContinueTheirSequences) {
  const c10::InferenceMode inference;
  const auto model = RandomModel();
  KvCache cache = model->NewCache(2, 8);
  model->Forward(PackTokens({{1, 2, 3}, {4, 5}}), cache);
  KvCache twice = cache.Select({1, 1, 0});
  const at::Tensor hidden = model->Forward(PackTokens({{7}, {8}, {9}}), twice);
  const std::vector<std::vector<int64_t>> wholes = {{4, 5, 7}, {4, 5, 8}, {1, 2, 3, 9}};
  for (size_t i = 0; i < wholes.size(); ++i) {
    const at::Tensor whole = model->Forward(PackTokens({wholes[i]}));
    ExpectClose(hidden[static_cast<int64_t>(i)], whole[whole.size(0) - 1], 1e-5, "row " + std::to_string(i));
  }
  EXPECT_EQ(cache.length(1), 2);
}

TEST(Qwen3Model, CausalMaskEqualsPackedForward) {
  const c10::InferenceMode inference;
  const auto model = RandomModel();
  const std::vector<std::vector<int64_t>> sequences = {{1, 2, 3, 4}, {7, 6, 5, 4}};
  MaskedTokens masked;
  masked.ids = PackTokens(sequences).ids.view({2, 4});
  masked.positions = at::arange(4, at::kLong).expand({2, 4});
  masked.allowed = at::ones({2, 4, 4}, at::kBool).tril();
  ExpectClose(model->Forward(masked), model->Forward(PackTokens(sequences)), 1e-5, "hidden states");
}

TEST(Qwen3Model, BranchesThatDoNotSeeEachOtherEqualSeparateSequences) {
  const c10::InferenceMode inference;
  const auto model = RandomModel();
  // A prefix of 2 and two branches of 2: each branch sees the prefix and itself.
  MaskedTokens masked;
  masked.ids = at::tensor(std::vector<int64_t>{1, 2, 3, 4, 5, 6}, at::kLong).unsqueeze(0);
  masked.positions = at::tensor(std::vector<int64_t>{0, 1, 2, 3, 2, 3}, at::kLong).unsqueeze(0);
  masked.allowed = at::ones({1, 6, 6}, at::kBool).tril();
  masked.allowed.narrow(1, 4, 2).narrow(2, 2, 2).fill_(false);
  const at::Tensor hidden = model->Forward(masked);
  const at::Tensor second = model->Forward(PackTokens({{1, 2, 5, 6}}));
  ExpectClose(hidden.narrow(0, 4, 2), second.narrow(0, 2, 2), 1e-5, "second branch");
}

TEST(Qwen3Model, GradientThroughAMaskEqualsThatOfSeparateSequences) {
  const auto model = RandomModel();
  // A prefix of 2 and two branches of 2 in one row, against the two whole sequences; the loss looks at the branches.
  MaskedTokens masked;
  masked.ids = at::tensor(std::vector<int64_t>{1, 2, 3, 4, 5, 6}, at::kLong).unsqueeze(0);
  masked.positions = at::tensor(std::vector<int64_t>{0, 1, 2, 3, 2, 3}, at::kLong).unsqueeze(0);
  masked.allowed = at::ones({1, 6, 6}, at::kBool).tril();
  masked.allowed.narrow(1, 4, 2).narrow(2, 2, 2).fill_(false);
  const auto gradients = [&](const at::Tensor& branches) {
    for (const Parameter& parameter : model->Parameters()) parameter.tensor->mutable_grad().reset();
    model->LabelLogits(branches, {7, 8}).square().sum().backward();
    std::vector<at::Tensor> result;
    for (const Parameter& parameter : model->Parameters()) result.push_back(parameter.tensor->grad().clone());
    return result;
  };
  const auto through_mask = gradients(model->Forward(masked).narrow(0, 2, 4));
  const at::Tensor rows = model->Forward(PackTokens({{1, 2, 3, 4}, {1, 2, 5, 6}}));
  const auto separate = gradients(at::cat({rows.narrow(0, 2, 2), rows.narrow(0, 6, 2)}));
  const ParameterList parameters = model->Parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const double scale = std::max(1.0, separate[i].abs().max().item<double>());
    EXPECT_LE(MaxDifference(through_mask[i], separate[i]), 1e-5 * scale) << parameters[i].name;
  }
}

TEST(Qwen3Model, LossFallsWhenItsGradientIsFollowed) {
  const auto model = RandomModel();
  const PackedTokens tokens = PackTokens({{1, 2, 3, 4, 5}, {5, 4, 3, 2, 1}});
  const at::Tensor targets = at::tensor(std::vector<int64_t>{2, 3, 4, 5, 6, 4, 3, 2, 1, 0}, at::kLong);
  const auto loss = [&] { return at::cross_entropy_loss(model->Logits(model->Forward(tokens)), targets); };
  const at::Tensor before = loss();
  before.backward();
  {
    const at::NoGradGuard no_grad;
    for (const Parameter& parameter : model->Parameters()) {
      ASSERT_TRUE(parameter.tensor->grad().defined()) << parameter.name;
      parameter.tensor->sub_(parameter.tensor->grad() * 0.1);
    }
  }
  EXPECT_LT(loss().item<float>(), before.item<float>());
}

TEST(Qwen3Model, SavedFolderLoadsAsTheSameModel) {
  const TemporaryFolder folder;
  for (const bool tied : {true, false}) {
    Qwen3Config config = SmallConfig();
    config.tie_word_embeddings = tied;
    config.rope.type = tied ? RopeConfig::Type::kDefault : RopeConfig::Type::kYarn;
    config.rope.factor = tied ? 1.0 : 4.0;
    config.rope.original_max_positions = 16;
    config.rope.attention_factor = tied ? 1.0 : 1.1;
    const auto model = Qwen3Model::CreateRandom(config, 3);
    ASSERT_TRUE((*model)->Save(folder.path()).ok());
    const auto loaded = LoadFolder(folder.path());
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ((*loaded)->config().eos_token_ids, config.eos_token_ids);
    const c10::InferenceMode inference;
    const PackedTokens tokens = PackTokens({{1, 2, 3}});
    EXPECT_TRUE(at::equal((*loaded)->Logits((*loaded)->Forward(tokens)), (*model)->Logits((*model)->Forward(tokens))));
  }
}

TEST(Qwen3Model, TrainableCopyOfASavedFolderGivesTheSameLogits) {
  const TemporaryFolder folder;
  const auto model = RandomModel();
  ASSERT_TRUE(model->Save(folder.path()).ok());
  const auto trainable = Qwen3Model::LoadTrainable(*Checkpoint::Open(folder.path()));
  ASSERT_TRUE(trainable.ok()) << trainable.status();
  const PackedTokens tokens = PackTokens({{1, 2, 3}});
  const at::Tensor logits = (*trainable)->Logits((*trainable)->Forward(tokens));
  EXPECT_TRUE(logits.requires_grad());
  EXPECT_TRUE(at::equal(logits, model->Logits(model->Forward(tokens))));
}

TEST(SaveTokenizerConfig, CompletesTheFolderOfATrainedTokenizer) {
  const TemporaryFolder folder;
  ASSERT_TRUE(
      SaveTokenizerConfig({.bos_token = "", .eos_token = "<|end|>", .pad_token = "<|pad|>", .chat_template = "x", .model_max_length = 512},
                          folder.path())
          .ok());
  const auto config = JsonConfig::Load(folder.file("tokenizer_config.json"));
  EXPECT_EQ(*config->String("eos_token"), "<|end|>");
  EXPECT_FALSE(config->Has("bos_token"));
}

class Qwen3ConfigTest : public ::testing::Test {
 protected:
  absl::StatusOr<Qwen3Config> Read(const nlohmann::json& changes) {
    nlohmann::json json = SmallConfig().ToJson();
    json.merge_patch(changes);
    return Qwen3Config::FromJson(JsonConfig(json, "config.json"));
  }
};

TEST_F(Qwen3ConfigTest, NamesAMissingKey) {
  for (const char* key : {"vocab_size", "head_dim", "num_key_value_heads", "rms_norm_eps", "max_position_embeddings"}) {
    const auto config = Read({{key, nullptr}});
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(key));
  }
}

TEST_F(Qwen3ConfigTest, NamesWhatItDoesNotCompute) {
  const auto rope = Read({{"rope_parameters", {{"rope_type", "longrope"}}}}).status();
  EXPECT_EQ(rope.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(rope.message()), HasSubstr("longrope"));
  EXPECT_EQ(Read({{"attention_bias", true}}).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(Read({{"hidden_act", "gelu"}}).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(Read({{"use_sliding_window", true}}).status().code(), absl::StatusCode::kUnimplemented);
}

TEST_F(Qwen3ConfigTest, ReadsBothSpellingsOfRope) {
  const auto older = Read({{"rope_parameters", nullptr}, {"rope_theta", 5000.0}, {"rope_scaling", nullptr}});
  ASSERT_TRUE(older.ok()) << older.status();
  EXPECT_EQ(older->rope.theta, 5000.0);
  const auto yarn = Read({{"rope_parameters", nullptr},
                          {"rope_theta", 5000.0},
                          {"rope_scaling", {{"type", "yarn"}, {"factor", 2.0}, {"original_max_position_embeddings", 32}}}});
  ASSERT_TRUE(yarn.ok()) << yarn.status();
  EXPECT_EQ(yarn->rope.type, RopeConfig::Type::kYarn);
  EXPECT_NEAR(yarn->rope.attention_factor, 0.1 * std::log(2.0) + 1.0, 1e-12);
}

TEST_F(Qwen3ConfigTest, RefusesSizesThatDoNotFit) {
  EXPECT_THAT(std::string(Read({{"num_key_value_heads", 3}}).status().message()), HasSubstr("no multiple"));
  EXPECT_THAT(std::string(Read({{"vocab_size", 0}}).status().message()), HasSubstr("vocab_size"));
}

TEST(CatchTorch, TurnsExceptionsIntoStatuses) {
  const auto mismatch = CatchTorch([] { return at::ones({2, 3}).matmul(at::ones({2, 3})); });
  EXPECT_EQ(mismatch.status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(std::string(mismatch.status().message()).find('\n'), std::string::npos);
  EXPECT_EQ(CatchTorch([]() -> int { throw std::bad_alloc(); }).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(CatchTorch([] {}).ok());
  EXPECT_EQ(*CatchTorch([] { return 3; }), 3);
  EXPECT_EQ(CatchTorch([] { return absl::NotFoundError("x"); }).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace palate::models
