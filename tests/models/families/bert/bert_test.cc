#include "models/families/bert/bert.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "tests/models/golden_tensors.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

class GoldenSentenceEncoderTest : public ::testing::TestWithParam<const char*> {
 protected:
  GoldenSentenceEncoderTest() : golden_(GetParam()) {}
  void SetUp() override {
    PALATE_SKIP_WITHOUT(golden_);
    const bool published = std::filesystem::exists(golden_.input("checkpoint.json"));
    folder_ = published ? MiniLmFolder() : golden_.checkpoint();
    if (!FileExists(folder_ + "/config.json")) GTEST_SKIP() << folder_ << " is absent";
    if (published) CheckDigests(folder_);

    auto encoder = SentenceEncoder::Load(folder_);
    ASSERT_TRUE(encoder.ok()) << encoder.status();
    encoder_ = *encoder;

    tensors_ = ReferenceTensors(golden_);
    expected_ = golden_.expected();
    inputs_ = golden_.inputs();
  }
  void CheckDigests(const std::string& folder) {
    const auto digests = Golden::Read(golden_.input("checkpoint.json"))["sha256"];
    for (const auto& [file, digest] : digests.items()) {
      EXPECT_EQ(*FileDigest(folder + "/" + file), digest.get<std::string>()) << file;
    }
  }
  std::vector<std::vector<int64_t>> Tokenized(const std::string& prompt) {
    std::vector<std::vector<int64_t>> sequences;
    for (const std::string sentence : inputs_["sentences"])
      sequences.push_back(encoder_->Tokenize(prompt + sentence)->ids);
    return sequences;
  }

  Golden golden_;
  std::string folder_;
  std::shared_ptr<const SentenceEncoder> encoder_;
  TensorMap tensors_;
  nlohmann::ordered_json expected_;
  nlohmann::ordered_json inputs_;
};

TEST_P(GoldenSentenceEncoderTest, TokenIdsEqualTheReference) {
  const auto sequences = Tokenized("");
  ASSERT_EQ(sequences.size(), expected_["cases"].size());
  for (size_t i = 0; i < sequences.size(); ++i) {
    EXPECT_EQ(sequences[i], Ids(expected_["cases"][i]["input_ids"])) << inputs_["sentences"][i];
  }
  EXPECT_EQ(encoder_->max_tokens(), expected_["max_seq_length"].get<int64_t>());
}

TEST_P(GoldenSentenceEncoderTest, HiddenStatesEqualTheReference) {
  const c10::InferenceMode inference;
  for (int n = 0; n < 2; ++n) {
    const auto ids = Ids(expected_["cases"][static_cast<size_t>(n)]["input_ids"]);
    const at::Tensor hidden =
        encoder_->model().Forward(at::tensor(ids, at::kLong), {static_cast<int64_t>(ids.size())});
    ExpectClose(hidden, tensors_.at("last_hidden_state." + std::to_string(n)), 1e-4,
                "hidden states");
  }
}

TEST_P(GoldenSentenceEncoderTest, EmbeddingsEqualTheReference) {
  const auto vectors = encoder_->Encode(Tokenized(""));
  ASSERT_TRUE(vectors.ok()) << vectors.status();
  ExpectSameEmbeddings(*vectors, tensors_.at("embeddings"), "embeddings");
  ExpectSameEmbeddings(*vectors, tensors_.at("embeddings_batched"), "batched embeddings");
}

TEST_P(GoldenSentenceEncoderTest, EmbeddingsWithTheQueryPromptEqualTheReference) {
  if (tensors_.count("embeddings_with_prompt") == 0)
    GTEST_SKIP() << "this checkpoint has no prompt";

  const std::string prompt = inputs_["prompt"];
  EXPECT_EQ(encoder_->query_prompt(), prompt);
  ExpectSameEmbeddings(*encoder_->Encode(Tokenized(prompt)), tensors_.at("embeddings_with_prompt"),
                       "with prompt");
}

TEST_P(GoldenSentenceEncoderTest, BatchEqualsSingle) {
  const auto sequences = Tokenized("");
  const at::Tensor batch = *encoder_->Encode(sequences);

  for (size_t i = 0; i < sequences.size(); ++i) {
    const at::Tensor single = *encoder_->Encode({sequences[i]});
    ExpectClose(single[0], batch[static_cast<int64_t>(i)], 1e-5, "sentence " + std::to_string(i));
  }
}

TEST_P(GoldenSentenceEncoderTest, Bfloat16IsCloseToTheReference) {
  const auto narrow = SentenceEncoder::Load(folder_, {.dtype = at::kBFloat16});
  ASSERT_TRUE(narrow.ok()) << narrow.status();

  const at::Tensor vectors = *(*narrow)->Encode(Tokenized(""));
  EXPECT_EQ(vectors.scalar_type(), at::kFloat);
  EXPECT_GE(at::cosine_similarity(vectors, tensors_.at("embeddings"), 1).min().item<double>(),
            0.999);
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, GoldenSentenceEncoderTest,
                         ::testing::Values("bert-mean", "bert-cls", "bert-all_minilm_l6_v2"));

// A damaged copy of a small checkpoint.
class DamagedSentenceEncoderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Golden golden("bert-mean");
    PALATE_SKIP_WITHOUT(golden);
    CopyFolder(golden.checkpoint(), folder_.file("model"));
  }
  std::string Path(const std::string& name) { return folder_.file("model/") + name; }
  absl::Status LoadError() { return SentenceEncoder::Load(folder_.file("model")).status(); }
  void ExpectError(absl::StatusCode code, const std::string& part) {
    EXPECT_EQ(LoadError().code(), code) << LoadError();
    EXPECT_THAT(std::string(LoadError().message()), HasSubstr(part));
  }
  void Change(const std::string& file, const nlohmann::json& changes) {
    nlohmann::json json = Golden::Read(Path(file));
    json.merge_patch(changes);
    WriteAll(Path(file), json.dump());
  }

  TempFolder folder_;
};

TEST_F(DamagedSentenceEncoderTest, IntactCopyLoads) {
  EXPECT_TRUE(LoadError().ok()) << LoadError();
}

TEST_F(DamagedSentenceEncoderTest, TruncatedWeightsAreDataLoss) {
  const std::string whole = ReadAll(Path("model.safetensors"));

  WriteAll(Path("model.safetensors"), whole.substr(0, whole.size() / 2));
  ExpectError(absl::StatusCode::kDataLoss, "model.safetensors");
}

TEST_F(DamagedSentenceEncoderTest, ConfigThatDoesNotFitTheWeightsNamesTheTensors) {
  Change("config.json", {{"num_hidden_layers", 4}});
  ExpectError(absl::StatusCode::kInvalidArgument, "missing tensors: encoder.layer.3.");
}

TEST_F(DamagedSentenceEncoderTest, UnsupportedPoolingIsNamed) {
  Change("1_Pooling/config.json",
         {{"pooling_mode_mean_tokens", false}, {"pooling_mode_weightedmean_tokens", true}});
  ExpectError(absl::StatusCode::kUnimplemented, "pooling_mode_weightedmean_tokens");
  Change("1_Pooling/config.json", {{"pooling_mode", "attention"}});
  ExpectError(absl::StatusCode::kUnimplemented, "attention");
}

TEST_F(DamagedSentenceEncoderTest, UnsupportedModuleIsNamed) {
  nlohmann::json modules = Golden::Read(Path("modules.json"));
  modules[2]["type"] = "sentence_transformers.models.CNN";
  WriteAll(Path("modules.json"), modules.dump());
  ExpectError(absl::StatusCode::kUnimplemented, "CNN");
}

TEST_F(DamagedSentenceEncoderTest, TokenizerWithMoreEntriesThanTheModelIsRefused) {
  Change("config.json", {{"vocab_size", 10}});
  EXPECT_FALSE(LoadError().ok());
}

TEST_F(DamagedSentenceEncoderTest, KeysOfOtherModelsAreRefusedByNameAndValue) {
  Change("config.json", {{"attention_softcap", 30.0}});
  ExpectError(absl::StatusCode::kUnimplemented, "attention_softcap is");
  Change("config.json", {{"attention_softcap", nullptr}, {"use_alibi", true}});
  ExpectError(absl::StatusCode::kUnimplemented, "use_alibi is");
  Change("config.json", {{"use_alibi", false}, {"position_embedding_type", "relative_key"}});
  ExpectError(absl::StatusCode::kUnimplemented, "relative_key");
  Change("config.json", {{"position_embedding_type", "absolute"}, {"is_decoder", true}});
  ExpectError(absl::StatusCode::kUnimplemented, "is_decoder");
}

TEST_F(DamagedSentenceEncoderTest, AGitLfsPointerIsNamedWithWhatToDo) {
  WriteAll(Path("model.safetensors"),
           "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90868376\n");
  ExpectError(absl::StatusCode::kFailedPrecondition, "model.safetensors is a Git LFS pointer");
  ExpectError(absl::StatusCode::kFailedPrecondition, "git lfs pull");
}

TEST_F(DamagedSentenceEncoderTest, MissingTokenizerIsNotFound) {
  std::filesystem::remove(Path("tokenizer.json"));
  ExpectError(absl::StatusCode::kNotFound, "tokenizer.json");
}

TEST_F(DamagedSentenceEncoderTest, DigestChangesWithPoolingAndWithWeights) {
  const std::string before = (*SentenceEncoder::Load(folder_.file("model")))->digest();
  Change("1_Pooling/config.json",
         {{"pooling_mode_mean_tokens", false}, {"pooling_mode_cls_token", true}});
  const std::string after = (*SentenceEncoder::Load(folder_.file("model")))->digest();
  EXPECT_EQ(before.size(), 64u);
  EXPECT_NE(before, after);
}

// A copy of a small checkpoint with other modules.
class SentenceModulesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Golden golden("bert-mean");
    PALATE_SKIP_WITHOUT(golden);
    CopyFolder(golden.checkpoint(), folder_.file("model"));
    sentences_ = golden.inputs()["sentences"].get<std::vector<std::string>>();
    states_ = ReferenceTensors(golden).at("last_hidden_state.0");
  }
  std::string Path(const std::string& name) { return folder_.file("model/") + name; }
  std::shared_ptr<const SentenceEncoder> Load() {
    auto encoder = SentenceEncoder::Load(folder_.file("model"));
    EXPECT_TRUE(encoder.ok()) << encoder.status();
    return encoder.ok() ? *encoder : nullptr;
  }
  // The vector of the first sentence, whose reference states are known.
  at::Tensor First() {
    const auto encoder = Load();
    return (*encoder->Encode({encoder->Tokenize(sentences_[0])->ids}))[0];
  }
  // Transformer and pooling, followed by the given modules.
  void SetModules(const std::vector<std::pair<std::string, std::string>>& rest) {
    nlohmann::json modules = nlohmann::json::array(
        {{{"type", "sentence_transformers.models.Transformer"}, {"path", ""}},
         {{"type", "sentence_transformers.models.Pooling"}, {"path", "1_Pooling"}}});
    for (const auto& [type, path] : rest)
      modules.push_back({{"type", "sentence_transformers.models." + type}, {"path", path}});
    WriteAll(Path("modules.json"), modules.dump());
  }

  TempFolder folder_;
  std::vector<std::string> sentences_;
  at::Tensor states_;
};

TEST_F(SentenceModulesTest, WithoutNormalizeTheMeanIsReturned) {
  SetModules({});

  EXPECT_FALSE(Load()->normalizes());
  ExpectClose(First(), states_.mean(0), 1e-5, "mean");
}

TEST_F(SentenceModulesTest, NormalizationsStoredAsGammaAndBetaGiveTheSameVectors) {
  SetModules({});
  std::map<std::string, at::Tensor> renamed;
  const auto stored = LoadTensors(Path("model.safetensors"));
  ASSERT_TRUE(stored.ok()) << stored.status();
  for (const auto& [name, tensor] : *stored) {
    std::string early = name;
    if (absl::EndsWith(name, "LayerNorm.weight"))
      early = absl::StrCat(absl::StripSuffix(name, "weight"), "gamma");
    if (absl::EndsWith(name, "LayerNorm.bias"))
      early = absl::StrCat(absl::StripSuffix(name, "bias"), "beta");
    renamed["bert." + early] = tensor.clone();
  }
  // What bert-base-uncased also stores.
  renamed["cls.predictions.transform.LayerNorm.gamma"] = at::ones({64});
  ASSERT_TRUE(SaveTensors(renamed, Path("model.safetensors")).ok());

  ExpectClose(First(), states_.mean(0), 1e-5, "mean");
}

TEST_F(SentenceModulesTest, PoolingMayBeAListOfOne) {
  SetModules({});
  const auto load = [&](const char* mode) {
    WriteAll(Path("1_Pooling/config.json"), std::string(R"({"pooling_mode": )") + mode + "}");
    return SentenceEncoder::Load(folder_.file("model"));
  };

  ASSERT_TRUE(load(R"(["cls"])").ok());
  ExpectClose(First(), states_[0], 2e-5, "cls");
  EXPECT_EQ(load(R"(["cls", "mean"])").status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(load("[]").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(load("[1]").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SentenceModulesTest, TheTransformerMayStandInASubfolder) {
  const at::Tensor before = First();
  std::filesystem::create_directory(Path("0_Transformer"));
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json",
                           "tokenizer_config.json", "sentence_bert_config.json"}) {
    std::filesystem::rename(Path(name), Path(std::string("0_Transformer/") + name));
  }
  nlohmann::json modules = Golden::Read(Path("modules.json"));
  modules[0]["path"] = "0_Transformer";
  WriteAll(Path("modules.json"), modules.dump());

  EXPECT_EQ(Load()->max_tokens(), 64);
  ExpectClose(First(), before, 0, "subfolder");
}

TEST_F(SentenceModulesTest, PoolingIsStatedOnlyWhereAFileStatesIt) {
  EXPECT_TRUE(Load()->pooling_is_stated());
  std::filesystem::remove(Path("modules.json"));
  EXPECT_FALSE(Load()->pooling_is_stated());
  EXPECT_EQ(Load()->pooling(), TextPooling::kMean);
}

TEST_F(SentenceModulesTest, TokensThatOnlyTheConfigNamesAreKnown) {
  const int64_t size = Golden::Read(Path("config.json"))["vocab_size"];
  // One token more than the checkpoint has rows: loading proves that the token was added.
  nlohmann::json config = Golden::Read(Path("tokenizer_config.json"));
  config["added_tokens_decoder"] = {
      {std::to_string(size), {{"content", "[BRAND]"}, {"special", true}}}};
  WriteAll(Path("tokenizer_config.json"), config.dump());

  const absl::Status status = SentenceEncoder::Load(folder_.file("model")).status();
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(absl::StrCat("the tokenizer has ", size + 1, " entries")));
}

TEST_F(SentenceModulesTest, EveryPoolingIsComputed) {
  SetModules({});
  const std::vector<std::pair<std::string, at::Tensor>> cases = {
      {"max", states_.amax(0)},
      {"cls", states_[0]},
      {"lasttoken", states_[-1]},
      {"mean_sqrt_len_tokens", states_.sum(0) / std::sqrt(states_.size(0))}};
  for (const auto& [mode, expected] : cases) {
    WriteAll(Path("1_Pooling/config.json"), nlohmann::json({{"pooling_mode", mode}}).dump());
    ExpectClose(First(), expected, 2e-5, mode);
  }
}

TEST_F(SentenceModulesTest, DenseLayerFollowsThePooling) {
  SetModules({{"Dense", "2_Dense"}, {"Normalize", "3_Normalize"}});
  std::filesystem::create_directory(Path("2_Dense"));
  WriteAll(
      Path("2_Dense/config.json"),
      R"({"in_features": 64, "out_features": 5, "bias": true, "activation_function": "torch.nn.modules.activation.Tanh"})");

  const at::Tensor weight = at::randn({5, 64}) * 0.1;
  const at::Tensor bias = at::randn({5});
  ASSERT_TRUE(SaveTensors({{"linear.weight", weight}, {"linear.bias", bias}},
                          Path("2_Dense/model.safetensors"))
                  .ok());

  const at::Tensor dense = at::tanh(at::linear(states_.mean(0), weight, bias));
  EXPECT_EQ(Load()->dimensions(), 5);
  ExpectClose(First(), dense / dense.norm(), 1e-5, "dense");
}

TEST_F(SentenceModulesTest, LongestInputComesFromTheTokenizerWhereNoOtherFileSays) {
  std::filesystem::remove(Path("sentence_bert_config.json"));
  EXPECT_EQ(Load()->max_tokens(), 64);

  std::filesystem::remove(Path("tokenizer_config.json"));
  EXPECT_EQ(Load()->max_tokens(), 96);
}

TEST_F(SentenceModulesTest, TokenizerConfigDecidesAboutCase) {
  const std::vector<int64_t> lower = Load()->Tokenize("a photo")->ids;
  EXPECT_EQ(Load()->Tokenize("A Photo")->ids, lower);

  nlohmann::json config = Golden::Read(Path("tokenizer_config.json"));
  config["do_lower_case"] = false;
  WriteAll(Path("tokenizer_config.json"), config.dump());
  EXPECT_NE(Load()->Tokenize("A Photo")->ids, lower);

  WriteAll(Path("sentence_bert_config.json"), R"({"max_seq_length": 64, "do_lower_case": true})");
  EXPECT_EQ(Load()->Tokenize("A Photo")->ids, lower);
}

}  // namespace
}  // namespace palate::models
