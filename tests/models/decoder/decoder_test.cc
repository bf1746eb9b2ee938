#include "models/decoder/decoder.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/device.h"
#include "models/torch_status.h"
#include "tests/models/golden_tensors.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<std::shared_ptr<const DecoderModel>> LoadFolder(const std::string& folder) {
  auto checkpoint = Checkpoint::Open(folder);
  if (!checkpoint.ok()) return checkpoint.status();
  return DecoderModel::Load(*checkpoint);
}

// Greedily continues `prompt` by `steps` tokens, using the cache.
std::vector<int64_t> Greedy(const DecoderModel& model, const std::vector<int64_t>& prompt,
                            int steps) {
  KvCache cache = model.NewCache(1, static_cast<int64_t>(prompt.size()) + steps);
  std::vector<int64_t> next = prompt;
  std::vector<int64_t> generated;
  for (int step = 0; step < steps; ++step) {
    const at::Tensor hidden = model.Forward(PackTokens({next}), cache);
    const int64_t id =
        model.Logits(hidden.narrow(0, hidden.size(0) - 1, 1)).argmax(1).item<int64_t>();
    generated.push_back(id);
    next = {id};
  }
  return generated;
}

class GoldenDecoderTest : public ::testing::TestWithParam<const char*> {
 protected:
  GoldenDecoderTest() : golden_(GetParam()) {}
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
  std::shared_ptr<const DecoderModel> model_;
  TensorMap tensors_;
  nlohmann::ordered_json expected_;
};

class GoldenRerankTest : public GoldenDecoderTest {};

TEST_P(GoldenDecoderTest, HiddenStatesAndLogitsEqualTheReference) {
  for (size_t n = 0; n < expected_["logits"].size(); ++n) {
    const std::string number = std::to_string(n);
    const at::Tensor hidden =
        model_->Forward(PackTokens({Ids(expected_["logits"][n]["input_ids"])}));
    ExpectClose(hidden, tensors_.at("last_hidden_state." + number), 1e-4,
                "hidden states " + number);
    ExpectClose(model_->Logits(hidden), tensors_.at("logits." + number), 1e-4, "logits " + number);
  }
}

TEST_P(GoldenDecoderTest, BatchEqualsTheReferenceWithoutInfluenceOfPadding) {
  const at::Tensor ids = tensors_.at("batch.input_ids");
  const at::Tensor mask = tensors_.at("batch.attention_mask");

  std::vector<std::vector<int64_t>> sequences;
  for (int64_t i = 0; i < ids.size(0); ++i)
    sequences.push_back(Ids(ids[i].masked_select(mask[i].to(at::kBool))));

  const PackedTokens packed = PackTokens(sequences);
  const at::Tensor hidden = model_->Forward(packed);
  int64_t end = 0;

  for (size_t i = 0; i < sequences.size(); ++i) {
    end += packed.lengths[i];
    const at::Tensor last = model_->Logits(hidden.narrow(0, end - 1, 1));
    ExpectClose(last[0], tensors_.at("batch.last_logits")[static_cast<int64_t>(i)], 1e-4,
                "sequence " + std::to_string(i));

    const at::Tensor alone = model_->Forward(PackTokens({sequences[i]}));
    ExpectClose(hidden.narrow(0, end - packed.lengths[i], packed.lengths[i]), alone, 1e-5,
                "alone " + std::to_string(i));
  }
}

TEST_P(GoldenDecoderTest, GreedyContinuationThroughTheCacheEqualsTheReference) {
  const int steps = golden_.inputs()["greedy_new_tokens"];
  int compared = 0;
  for (const auto& test : expected_["greedy"]) {
    if (test["min_top2_gap"].get<double>() < 2e-4) continue;
    EXPECT_EQ(Greedy(*model_, Ids(test["input_ids"]), steps), Ids(test["new_ids"]))
        << test["prompt"];
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

TEST_P(GoldenDecoderTest, ScoresOfContinuationsEqualTheReference) {
  for (size_t n = 0; n < expected_["score"].size(); ++n) {
    const auto prompt = Ids(expected_["score"][n]["prompt_ids"]);
    const auto continuation = Ids(expected_["score"][n]["continuation_ids"]);

    std::vector<int64_t> all = prompt;
    all.insert(all.end(), continuation.begin(), continuation.end());
    const at::Tensor hidden = model_->Forward(PackTokens({all}));

    const auto count = static_cast<int64_t>(continuation.size());
    const at::Tensor rows = hidden.narrow(0, static_cast<int64_t>(prompt.size()) - 1, count);
    const at::Tensor chosen = at::log_softmax(model_->Logits(rows), 1)
                                  .gather(1, at::tensor(continuation, at::kLong).unsqueeze(1))
                                  .squeeze(1);

    ExpectClose(chosen, tensors_.at("score." + std::to_string(n)), 1e-4,
                "score " + std::to_string(n));
  }
}

TEST_P(GoldenRerankTest, LabelLogitsGiveTheReferenceRerankScores) {
  const auto& rerank = expected_["rerank"];
  const std::vector<int64_t> labels = {rerank["no_id"].get<int64_t>(),
                                       rerank["yes_id"].get<int64_t>()};
  for (size_t n = 0; n < rerank["cases"].size(); ++n) {
    const at::Tensor hidden = model_->Forward(PackTokens({Ids(rerank["cases"][n]["input_ids"])}));
    const at::Tensor logits =
        model_->LabelLogits(hidden.narrow(0, hidden.size(0) - 1, 1), labels)[0];

    const auto row = static_cast<int64_t>(n);
    ExpectClose(logits, tensors_.at("rerank.no_yes_logits")[row], 1e-4, "label logits");
    ExpectClose(at::softmax(logits, 0)[1], tensors_.at("rerank.scores")[row], 1e-5, "score");
  }
}

// Narrow types must keep the direction of every hidden state.
TEST_P(GoldenDecoderTest, NarrowTypesKeepTheDirectionOfHiddenStates) {
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    const auto narrow =
        DecoderModel::Load(*Checkpoint::Open(golden_.checkpoint()), {.dtype = dtype});
    ASSERT_TRUE(narrow.ok()) << narrow.status();
    EXPECT_EQ((*narrow)->dtype(), dtype);

    const at::Tensor hidden =
        (*narrow)->Forward(PackTokens({Ids(expected_["logits"][0]["input_ids"])}));
    EXPECT_EQ(hidden.scalar_type(), dtype);

    const at::Tensor cosine = at::cosine_similarity(
        hidden.to(at::kDouble), tensors_.at("last_hidden_state.0").to(at::kDouble), 1);
    EXPECT_GE(cosine.min().item<double>(), 0.999);

    EXPECT_EQ((*narrow)->Logits(hidden).scalar_type(), at::kFloat);
    EXPECT_EQ((*narrow)->LabelLogits(hidden, {1, 2}).scalar_type(), at::kFloat);
  }
}

TEST_P(GoldenDecoderTest, GpuKeepsTheDirectionOfHiddenStates) {
  const auto gpu = OpenDevice("cuda");
  if (!gpu.ok()) GTEST_SKIP() << gpu.status();
  const auto model = DecoderModel::Load(*Checkpoint::Open(golden_.checkpoint()),
                                        {.dtype = at::kBFloat16, .device = *gpu});
  ASSERT_TRUE(model.ok()) << model.status();

  const at::Tensor hidden =
      (*model)->Forward(PackTokens({Ids(expected_["logits"][0]["input_ids"])}));
  EXPECT_TRUE(hidden.is_cuda());

  const at::Tensor cosine = at::cosine_similarity(
      hidden.cpu().to(at::kDouble), tensors_.at("last_hidden_state.0").to(at::kDouble), 1);
  EXPECT_GE(cosine.min().item<double>(), 0.999);
}

INSTANTIATE_TEST_SUITE_P(Qwen3, GoldenRerankTest, ::testing::Values("qwen3-gqa", "qwen3-yarn"));
INSTANTIATE_TEST_SUITE_P(Families, GoldenDecoderTest,
                         ::testing::Values("qwen3-gqa", "qwen3-yarn", "llama-llama3rope_bf16",
                                           "qwen2-qkvbias"));

DecoderConfig SmallConfig() {
  DecoderConfig config;
  config.vocab_size = 50;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.num_layers = 2;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 16;
  config.max_positions = 64;
  config.initializer_range = 0.1;
  config.qk_norm = true;
  config.eos_token_ids = {49};
  return config;
}

std::unique_ptr<DecoderModel> RandomModel() {
  return *DecoderModel::CreateRandom(SmallConfig(), 1);
}

DecoderInputs InputsOf(const DecoderModel& model, const PackedTokens& tokens,
                       const at::Tensor& positions) {
  DecoderInputs inputs;
  inputs.embeddings = model.EmbedTokens(tokens.ids);
  inputs.positions = positions;
  inputs.lengths = tokens.lengths;
  return inputs;
}

// A random model of each kind of decoder, and the settings that distinguish it.
struct Variant {
  const char* name;
  void (*change)(DecoderConfig& config);
};
void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

const Variant kVariants[] = {
    {"Qwen3", [](DecoderConfig&) {}},
    {"Qwen3WithBiases",
     [](DecoderConfig& config) {
       config.qkv_bias = true;
       config.o_bias = true;
     }},
    {"Qwen2WithWindow",
     [](DecoderConfig& config) {
       config.qk_norm = false;
       config.qkv_bias = true;
       config.sliding_windows = {0, 3};
     }},
    {"LlamaWithBiases",
     [](DecoderConfig& config) {
       config.qk_norm = false;
       config.qkv_bias = true;
       config.o_bias = true;
       config.mlp_bias = true;
       config.rope.type = RopeConfig::Type::kLlama3;
       config.rope.factor = 8.0;
       config.rope.original_max_positions = 16;
     }},
    {"LlamaLinearRope",
     [](DecoderConfig& config) {
       config.qk_norm = false;
       config.rope.type = RopeConfig::Type::kLinear;
       config.rope.factor = 2.0;
     }},
    {"Qwen3VlText",
     [](DecoderConfig& config) {
       config.rope.mrope_section = {4, 2, 2};
       config.rope.mrope_interleaved = true;
     }},
};

class DecoderFamilyTest : public ::testing::TestWithParam<Variant> {
 protected:
  DecoderFamilyTest() {
    DecoderConfig config = SmallConfig();
    GetParam().change(config);
    model_ = *DecoderModel::CreateRandom(config, 1);
    // Biases that start at zero would not show that they are ignored.
    const at::NoGradGuard no_grad;
    for (const Parameter& parameter : model_->Parameters()) {
      if (parameter.name.ends_with(".bias")) parameter.tensor->uniform_(-0.5, 0.5);
    }
  }

  std::unique_ptr<DecoderModel> model_;
};

TEST_P(DecoderFamilyTest, BatchEqualsSingleAndPaddingChangesNothing) {
  const c10::InferenceMode inference;
  const std::vector<std::vector<int64_t>> sequences = {
      {1, 2, 3, 4, 5, 6, 7}, {9, 8}, {4, 4, 4, 9, 9, 9, 1}, {3}};

  const at::Tensor packed = model_->Forward(PackTokens(sequences));

  // The same sequences as one padded batch, padded on the left and on the right.
  const int64_t longest = 7;
  for (const bool left : {true, false}) {
    MaskedTokens padded{
        .ids = at::zeros({4, longest}, at::kLong),
        .positions = at::zeros({4, longest}, at::kLong),
        .allowed = at::eye(longest, at::kBool).expand({4, longest, longest}).clone()};
    for (int64_t i = 0; i < 4; ++i) {
      const auto length = static_cast<int64_t>(sequences[static_cast<size_t>(i)].size());
      const int64_t begin = left ? longest - length : 0;
      padded.ids[i]
          .narrow(0, begin, length)
          .copy_(at::tensor(sequences[static_cast<size_t>(i)], at::kLong));
      padded.positions[i].narrow(0, begin, length).copy_(at::arange(length, at::kLong));
      padded.allowed[i]
          .narrow(0, begin, length)
          .narrow(1, begin, length)
          .copy_(at::ones({length, length}, at::kBool).tril());
    }

    const at::Tensor rows = model_->Forward(padded).view({4, longest, -1});
    int64_t row = 0;
    for (int64_t i = 0; i < 4; ++i) {
      const auto length = static_cast<int64_t>(sequences[static_cast<size_t>(i)].size());
      const at::Tensor alone = model_->Forward(PackTokens({sequences[static_cast<size_t>(i)]}));
      ExpectClose(packed.narrow(0, row, length), alone, 1e-5, "packed " + std::to_string(i));
      ExpectClose(rows[i].narrow(0, left ? longest - length : 0, length), alone, 1e-5,
                  "padded " + std::to_string(i));
      row += length;
    }
  }
}

TEST_P(DecoderFamilyTest, CacheTokenByTokenEqualsOneForward) {
  const c10::InferenceMode inference;
  const std::vector<int64_t> tokens = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const at::Tensor whole = model_->Forward(PackTokens({tokens}));
  KvCache cache = model_->NewCache(1, 9);

  ExpectClose(model_->Forward(PackTokens({{1, 2, 3, 4}}), cache), whole.narrow(0, 0, 4), 1e-5,
              "prompt");
  ExpectClose(model_->Forward(PackTokens({{5, 6}}), cache), whole.narrow(0, 4, 2), 1e-5,
              "two more");
  for (int64_t i = 6; i < 9; ++i) {
    ExpectClose(model_->Forward(PackTokens({{tokens[static_cast<size_t>(i)]}}), cache),
                whole.narrow(0, i, 1), 1e-5, "one more");
  }
}

TEST_P(DecoderFamilyTest, EmbeddingsAndPositionsOfTheCallerEqualIds) {
  const c10::InferenceMode inference;
  const PackedTokens tokens = PackTokens({{1, 2, 3, 4}, {5, 6}});
  DecoderInputs inputs =
      InputsOf(*model_, tokens, at::tensor(std::vector<int64_t>{0, 1, 2, 3, 0, 1}, at::kLong));

  const at::Tensor expected = model_->Forward(tokens);
  ExpectClose(model_->Forward(inputs), expected, 1e-6, "one position each");

  // The three positions of a text token are equal.
  inputs.positions = inputs.positions.expand({3, 6});
  ExpectClose(model_->Forward(inputs), expected, 1e-6, "three positions each");
}

TEST_P(DecoderFamilyTest, SavedFolderLoadsAsTheSameModel) {
  const TempFolder folder;
  ASSERT_TRUE(model_->Save(folder.path()).ok());
  const auto loaded = LoadFolder(folder.path());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const c10::InferenceMode inference;

  const PackedTokens tokens = PackTokens({{1, 2, 3, 4, 5, 6}});
  // The loaded model multiplies with prepacked weights, which rounds differently.
  ExpectClose((*loaded)->Forward(tokens), model_->Forward(tokens), 1e-5, "hidden states");
}

TEST_P(DecoderFamilyTest, EveryParameterHasAGradient) {
  model_->Logits(model_->Forward(PackTokens({{1, 2, 3, 4, 5}}))).square().sum().backward();
  for (const Parameter& parameter : model_->Parameters()) {
    ASSERT_TRUE(parameter.tensor->grad().defined()) << parameter.name;
    EXPECT_TRUE(parameter.tensor->grad().isfinite().all().item<bool>()) << parameter.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, DecoderFamilyTest, ::testing::ValuesIn(kVariants),
                         [](const auto& test) { return std::string(test.param.name); });

// A window of 2 in the only layer: nothing before the preceding token can matter.
TEST(DecoderModelTest, SlidingWindowHidesWhatLiesBeforeIt) {
  const c10::InferenceMode inference;
  DecoderConfig config = SmallConfig();
  config.num_layers = 1;
  config.sliding_windows = {2};
  const auto model = *DecoderModel::CreateRandom(config, 1);

  const at::Tensor a = model->Forward(PackTokens({{1, 2, 3, 4}}));
  const at::Tensor b = model->Forward(PackTokens({{9, 9, 3, 4}}));
  ExpectClose(a[3], b[3], 1e-6, "outside of the window");
  EXPECT_GT(MaxDifference(a[2], b[2]), 1e-3);
}

TEST(DecoderModelTest, SectionsTurnTheirPairsByTheirOwnPosition) {
  const c10::InferenceMode inference;
  DecoderConfig config = SmallConfig();
  config.rope.mrope_section = {4, 2, 2};

  const at::Tensor positions = at::tensor(std::vector<int64_t>{0, 1, 2, 3}, at::kLong);
  for (const bool interleaved : {false, true}) {
    config.rope.mrope_interleaved = interleaved;
    const std::vector<int64_t> axes = interleaved ? std::vector<int64_t>{0, 1, 2, 0, 1, 2, 0, 0}
                                                  : std::vector<int64_t>{0, 0, 0, 0, 1, 1, 2, 2};

    EXPECT_EQ(config.rope.AxisOfPair(config.head_dim), axes);
    const auto model = *DecoderModel::CreateRandom(config, 1);
    const PackedTokens tokens = PackTokens({{1, 2, 3, 4}});
    DecoderInputs inputs = InputsOf(*model, tokens, positions.expand({3, 4}));

    const at::Tensor text = model->Forward(inputs);
    for (int64_t axis = 0; axis < 3; ++axis) {
      inputs.positions = positions.expand({3, 4}).clone();
      inputs.positions[axis].mul_(5);
      EXPECT_GT(MaxDifference(model->Forward(inputs), text), 1e-4) << axis;
    }
  }
}

TEST(DecoderModelTest, DeepstackIsAddedToItsRowsAfterItsLayer) {
  const c10::InferenceMode inference;
  const auto model = RandomModel();
  const PackedTokens tokens = PackTokens({{1, 2, 3}, {4, 5}});
  DecoderInputs inputs =
      InputsOf(*model, tokens, at::tensor(std::vector<int64_t>{0, 1, 2, 0, 1}, at::kLong));

  const at::Tensor plain = model->Forward(inputs);
  inputs.deepstack_rows = at::tensor(std::vector<int64_t>{1}, at::kLong);
  inputs.deepstack = {at::ones({1, 32})};

  const at::Tensor stacked = model->Forward(inputs);
  ExpectClose(stacked[0], plain[0], 1e-6, "before the row");
  EXPECT_GT(MaxDifference(stacked[1], plain[1]), 1e-3);
  EXPECT_GT(MaxDifference(stacked[2], plain[2]), 1e-5);
  ExpectClose(stacked.narrow(0, 3, 2), plain.narrow(0, 3, 2), 1e-6, "the other sequence");
}

TEST(DecoderModelTest, FolderStoredAsAnEncoderLoadsWithoutItsOutput) {
  const TempFolder folder;
  DecoderConfig config = SmallConfig();
  config.tie_word_embeddings = false;
  const auto model = *DecoderModel::CreateRandom(config, 1);
  ASSERT_TRUE(model->Save(folder.path()).ok());

  auto tensors = *LoadTensors(folder.file("model.safetensors"));
  std::map<std::string, at::Tensor> bare;
  for (const auto& [name, tensor] : tensors) {
    if (name != "lm_head.weight") bare[name.substr(std::string("model.").size())] = tensor;
  }
  ASSERT_TRUE(SaveTensors(bare, folder.file("model.safetensors")).ok());

  const auto loaded = LoadFolder(folder.path());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_FALSE((*loaded)->has_output());

  const c10::InferenceMode inference;
  ExpectClose((*loaded)->Forward(PackTokens({{1, 2}})), model->Forward(PackTokens({{1, 2}})), 1e-5,
              "hidden states");

  // With the names of a causal language model, the missing output is an error.
  tensors.erase("lm_head.weight");
  ASSERT_TRUE(SaveTensors(tensors, folder.file("model.safetensors")).ok());
  EXPECT_THAT(std::string(LoadFolder(folder.path()).status().message()),
              HasSubstr("missing tensors: lm_head.weight"));
}

TEST(DecoderModelTest, TablesOfEarlyCheckpointsAreNoLeftOvers) {
  const TempFolder folder;
  const auto model = RandomModel();

  ASSERT_TRUE(model->Save(folder.path()).ok());
  auto tensors = *LoadTensors(folder.file("model.safetensors"));
  tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = at::ones({8});
  ASSERT_TRUE(SaveTensors(tensors, folder.file("model.safetensors")).ok());
  EXPECT_TRUE(LoadFolder(folder.path()).ok());

  tensors["model.layers.0.self_attn.q_proj.weight_scale"] = at::ones({8});
  tensors.erase("model.norm.weight");
  ASSERT_TRUE(SaveTensors(tensors, folder.file("model.safetensors")).ok());

  const std::string message(LoadFolder(folder.path()).status().message());
  EXPECT_THAT(message, HasSubstr("weight_scale"));
  EXPECT_THAT(message, HasSubstr("missing tensors: model.norm.weight"));
}

TEST(DecoderModelTest, CacheInAnyStepsEqualsOneForward) {
  const c10::InferenceMode inference;
  const auto model = RandomModel();
  const std::vector<std::vector<int64_t>> sequences = {
      {1, 2, 3, 4, 5, 6, 7}, {9, 8, 7, 6, 5, 4, 3}, {4, 4, 4, 9, 9, 9, 1}};

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
      ExpectClose(hidden.narrow(0, row, count),
                  whole[static_cast<int64_t>(i)].narrow(0, static_cast<int64_t>(seen[i]), count),
                  1e-5, "sequence " + std::to_string(i));
      row += count;
      seen[i] += step[i];
      EXPECT_EQ(cache.length(static_cast<int64_t>(i)), static_cast<int64_t>(seen[i]));
    }
  }
}

TEST(DecoderModelTest, SelectedCacheRowsContinueTheirSequences) {
  const c10::InferenceMode inference;
  const auto model = RandomModel();
  KvCache cache = model->NewCache(2, 8);
  model->Forward(PackTokens({{1, 2, 3}, {4, 5}}), cache);

  KvCache twice = cache.Select({1, 1, 0});
  const at::Tensor hidden = model->Forward(PackTokens({{7}, {8}, {9}}), twice);

  const std::vector<std::vector<int64_t>> wholes = {{4, 5, 7}, {4, 5, 8}, {1, 2, 3, 9}};
  for (size_t i = 0; i < wholes.size(); ++i) {
    const at::Tensor whole = model->Forward(PackTokens({wholes[i]}));
    ExpectClose(hidden[static_cast<int64_t>(i)], whole[whole.size(0) - 1], 1e-5,
                "row " + std::to_string(i));
  }

  EXPECT_EQ(cache.length(1), 2);
}

TEST(DecoderModelTest, CausalMaskEqualsPackedForward) {
  const c10::InferenceMode inference;
  const auto model = RandomModel();
  const std::vector<std::vector<int64_t>> sequences = {{1, 2, 3, 4}, {7, 6, 5, 4}};

  MaskedTokens masked;
  masked.ids = PackTokens(sequences).ids.view({2, 4});
  masked.positions = at::arange(4, at::kLong).expand({2, 4});
  masked.allowed = at::ones({2, 4, 4}, at::kBool).tril();

  ExpectClose(model->Forward(masked), model->Forward(PackTokens(sequences)), 1e-5, "hidden states");
}

TEST(DecoderModelTest, BranchesThatDoNotSeeEachOtherEqualSeparateSequences) {
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

TEST(DecoderModelTest, GradientThroughAMaskEqualsThatOfSeparateSequences) {
  const auto model = RandomModel();

  // A prefix of 2 and two branches of 2 in one row, compared with the two whole sequences. The loss
  // covers the branches.
  MaskedTokens masked;
  masked.ids = at::tensor(std::vector<int64_t>{1, 2, 3, 4, 5, 6}, at::kLong).unsqueeze(0);
  masked.positions = at::tensor(std::vector<int64_t>{0, 1, 2, 3, 2, 3}, at::kLong).unsqueeze(0);
  masked.allowed = at::ones({1, 6, 6}, at::kBool).tril();
  masked.allowed.narrow(1, 4, 2).narrow(2, 2, 2).fill_(false);

  const auto gradients = [&](const at::Tensor& branches) {
    for (const Parameter& parameter : model->Parameters()) parameter.tensor->mutable_grad().reset();
    model->LabelLogits(branches, {7, 8}).square().sum().backward();
    std::vector<at::Tensor> result;
    for (const Parameter& parameter : model->Parameters())
      result.push_back(parameter.tensor->grad().clone());
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

TEST(DecoderModelTest, LossFallsWhenItsGradientIsFollowed) {
  const auto model = RandomModel();

  const PackedTokens tokens = PackTokens({{1, 2, 3, 4, 5}, {5, 4, 3, 2, 1}});
  const at::Tensor targets =
      at::tensor(std::vector<int64_t>{2, 3, 4, 5, 6, 4, 3, 2, 1, 0}, at::kLong);
  const auto loss = [&] {
    return at::cross_entropy_loss(model->Logits(model->Forward(tokens)), targets);
  };

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

TEST(DecoderModelTest, SavedFolderLoadsAsTheSameModel) {
  const TempFolder folder;
  for (const bool tied : {true, false}) {
    DecoderConfig config = SmallConfig();
    config.tie_word_embeddings = tied;
    config.rope.type = tied ? RopeConfig::Type::kDefault : RopeConfig::Type::kYarn;
    config.rope.factor = tied ? 1.0 : 4.0;
    config.rope.original_max_positions = 16;
    config.rope.attention_factor = tied ? 1.0 : 1.1;

    const auto model = DecoderModel::CreateRandom(config, 3);
    ASSERT_TRUE((*model)->Save(folder.path()).ok());

    const auto loaded = LoadFolder(folder.path());
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ((*loaded)->config().eos_token_ids, config.eos_token_ids);

    const c10::InferenceMode inference;
    const PackedTokens tokens = PackTokens({{1, 2, 3}});
    ExpectClose((*loaded)->Logits((*loaded)->Forward(tokens)),
                (*model)->Logits((*model)->Forward(tokens)), 1e-5, "logits");
  }
}

TEST(DecoderModelTest, TrainableCopyOfASavedFolderGivesTheSameLogits) {
  const TempFolder folder;
  const auto model = RandomModel();
  ASSERT_TRUE(model->Save(folder.path()).ok());
  const auto trainable = DecoderModel::LoadTrainable(*Checkpoint::Open(folder.path()));
  ASSERT_TRUE(trainable.ok()) << trainable.status();

  const PackedTokens tokens = PackTokens({{1, 2, 3}});
  const at::Tensor logits = (*trainable)->Logits((*trainable)->Forward(tokens));
  EXPECT_TRUE(logits.requires_grad());
  EXPECT_TRUE(at::equal(logits, model->Logits(model->Forward(tokens))));
}

TEST(SaveTokenizerConfigTest, CompletesTheFolderOfATrainedTokenizer) {
  const TempFolder folder;
  ASSERT_TRUE(SaveTokenizerConfig({.bos_token = "",
                                   .eos_token = "<|end|>",
                                   .pad_token = "<|pad|>",
                                   .chat_template = "x",
                                   .model_max_length = 512},
                                  folder.path())
                  .ok());

  const auto config = JsonConfig::Load(folder.file("tokenizer_config.json"));
  EXPECT_EQ(*config->String("eos_token"), "<|end|>");
  EXPECT_FALSE(config->Has("bos_token"));
}

TEST(CatchTorchTest, TurnsExceptionsIntoStatuses) {
  const auto mismatch = CatchTorch([] { return at::ones({2, 3}).matmul(at::ones({2, 3})); });
  EXPECT_EQ(mismatch.status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(std::string(mismatch.status().message()).find('\n'), std::string::npos);

  EXPECT_EQ(CatchTorch([]() -> int { throw std::bad_alloc(); }).status().code(),
            absl::StatusCode::kResourceExhausted);

  EXPECT_TRUE(CatchTorch([] {}).ok());
  EXPECT_EQ(*CatchTorch([] { return 3; }), 3);
  EXPECT_EQ(CatchTorch([] { return absl::NotFoundError("x"); }).code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace palate::models
