#include "models/bert/bert.h"

#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/models/golden_tensors.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

class GoldenSentenceEncoderTest : public ::testing::TestWithParam<const char*> {
 protected:
  GoldenSentenceEncoderTest() : golden_(GetParam()) {}
  void SetUp() override {
    PALATE_SKIP_WITHOUT(golden_);
    const bool published = std::filesystem::exists(golden_.input("checkpoint.json"));
    const std::string folder = published ? MiniLmFolder() : golden_.checkpoint();
    if (!FileExists(folder + "/config.json")) GTEST_SKIP() << folder << " is absent";
    if (published) CheckDigests(folder);
    auto encoder = SentenceEncoder::Load(folder);
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
    for (const std::string sentence : inputs_["sentences"]) sequences.push_back(encoder_->Tokenize(prompt + sentence)->ids);
    return sequences;
  }

  Golden golden_;
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
    const at::Tensor hidden = encoder_->model().Forward(at::tensor(ids, at::kLong), {static_cast<int64_t>(ids.size())});
    ExpectClose(hidden, tensors_.at("last_hidden_state." + std::to_string(n)), 1e-4, "hidden states");
  }
}

TEST_P(GoldenSentenceEncoderTest, EmbeddingsEqualTheReference) {
  const auto vectors = encoder_->Encode(Tokenized(""));
  ASSERT_TRUE(vectors.ok()) << vectors.status();
  ExpectSameEmbeddings(*vectors, tensors_.at("embeddings"), "embeddings");
  ExpectSameEmbeddings(*vectors, tensors_.at("embeddings_batched"), "batched embeddings");
}

TEST_P(GoldenSentenceEncoderTest, EmbeddingsWithTheQueryPromptEqualTheReference) {
  if (tensors_.count("embeddings_with_prompt") == 0) GTEST_SKIP() << "this checkpoint has no prompt";
  const std::string prompt = inputs_["prompt"];
  EXPECT_EQ(encoder_->query_prompt(), prompt);
  ExpectSameEmbeddings(*encoder_->Encode(Tokenized(prompt)), tensors_.at("embeddings_with_prompt"), "with prompt");
}

TEST_P(GoldenSentenceEncoderTest, BatchEqualsSingle) {
  const auto sequences = Tokenized("");
  const at::Tensor batch = *encoder_->Encode(sequences);
  for (size_t i = 0; i < sequences.size(); ++i) {
    const at::Tensor single = *encoder_->Encode({sequences[i]});
    ExpectClose(single[0], batch[static_cast<int64_t>(i)], 1e-5, "sentence " + std::to_string(i));
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, GoldenSentenceEncoderTest, ::testing::Values("bert-mean", "bert-cls", "bert-all_minilm_l6_v2"));

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

  TemporaryFolder folder_;
};

TEST_F(DamagedSentenceEncoderTest, IntactCopyLoads) { EXPECT_TRUE(LoadError().ok()) << LoadError(); }

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
  Change("1_Pooling/config.json", {{"pooling_mode_mean_tokens", false}, {"pooling_mode_max_tokens", true}});
  ExpectError(absl::StatusCode::kUnimplemented, "pooling_mode_max_tokens");
}

TEST_F(DamagedSentenceEncoderTest, TokenizerWithMoreEntriesThanTheModelIsRefused) {
  Change("config.json", {{"vocab_size", 10}});
  EXPECT_FALSE(LoadError().ok());
}

TEST_F(DamagedSentenceEncoderTest, MissingTokenizerIsNotFound) {
  std::filesystem::remove(Path("tokenizer.json"));
  ExpectError(absl::StatusCode::kNotFound, "tokenizer.json");
}

TEST_F(DamagedSentenceEncoderTest, DigestChangesWithPoolingAndWithWeights) {
  const std::string before = (*SentenceEncoder::Load(folder_.file("model")))->digest();
  Change("1_Pooling/config.json", {{"pooling_mode_mean_tokens", false}, {"pooling_mode_cls_token", true}});
  const std::string after = (*SentenceEncoder::Load(folder_.file("model")))->digest();
  EXPECT_EQ(before.size(), 64u);
  EXPECT_NE(before, after);
}

}  // namespace
}  // namespace palate::models
