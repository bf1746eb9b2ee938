#include "models/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/models/golden.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

class GoldenTokenizerTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenTokenizerTest, EncodesAndDecodesAsTheReference) {
  const Golden golden(GetParam());
  PALATE_SKIP_WITHOUT(golden);
  const auto tokenizer = Tokenizer::Load(golden.checkpoint());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();

  const auto expected = golden.expected();
  ASSERT_TRUE(expected.contains("tokenize"));
  int compared = 0;

  for (const auto& test : expected["tokenize"]) {
    // Skip cases in which the reference's class differs from its own tokenizer.json, because we
    // read the file.
    if (!test["tokenizer_json_agrees"].get<bool>()) continue;
    const std::string text = test["text"];

    const auto with = (*tokenizer)->Encode(text);
    ASSERT_TRUE(with.ok()) << with.status();
    EXPECT_EQ(with->ids, test["input_ids"].get<std::vector<int64_t>>()) << text;

    const auto without = (*tokenizer)->Encode(text, {.add_special_tokens = false});
    EXPECT_EQ(without->ids, test["input_ids_no_special"].get<std::vector<int64_t>>()) << text;

    EXPECT_EQ(*(*tokenizer)->Decode(with->ids), test["decoded_skip_special"].get<std::string>())
        << text;
    EXPECT_EQ(*(*tokenizer)->Decode(with->ids, /*skip_special_tokens=*/false),
              test["decoded"].get<std::string>());
    ++compared;
  }
  EXPECT_GT(compared, 10);
}

INSTANTIATE_TEST_SUITE_P(AllFamilies, GoldenTokenizerTest,
                         ::testing::Values("qwen3-gqa", "qwen3-yarn", "qwen2-qkvbias",
                                           "llama-llama3rope_bf16", "tokenizer-qwen3_published"));

class QwenTokenizerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Golden golden("qwen3-gqa");
    PALATE_SKIP_WITHOUT(golden);
    auto tokenizer = Tokenizer::Load(golden.checkpoint());
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *tokenizer;
  }
  std::shared_ptr<const Tokenizer> tokenizer_;
};

TEST_F(QwenTokenizerTest, BatchEqualsSingles) {
  const std::vector<std::string> texts = {"Hello, world!", "", "你好", "a  b"};
  const auto batch = tokenizer_->EncodeBatch(texts);

  ASSERT_TRUE(batch.ok());
  for (size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ((*batch)[i].ids, tokenizer_->Encode(texts[i])->ids);
}

TEST_F(QwenTokenizerTest, CutsAtTheLimitAndCountsWhatWasCut) {
  const auto whole = tokenizer_->Encode("Hello, world!");
  const auto cut = tokenizer_->Encode("Hello, world!", {.max_tokens = 4});

  ASSERT_TRUE(cut.ok());
  EXPECT_EQ(cut->ids, std::vector<int64_t>(whole->ids.begin(), whole->ids.begin() + 4));
  EXPECT_EQ(cut->truncated_tokens, whole->ids.size() - 4);
  EXPECT_EQ(whole->truncated_tokens, 0u);
}

TEST_F(QwenTokenizerTest, ReadsSpecialTokensAsCharactersWhenAsked) {
  const std::string text = "a<|im_end|>b";
  const int64_t end = *tokenizer_->TokenToId("<|im_end|>");

  const auto parsed = tokenizer_->Encode(text);
  EXPECT_THAT(parsed->ids, ::testing::Contains(end));

  const auto literal = tokenizer_->Encode(text, {.parse_special_tokens = false});
  ASSERT_TRUE(literal.ok());
  EXPECT_THAT(literal->ids, ::testing::Not(::testing::Contains(end)));
  EXPECT_EQ(*tokenizer_->Decode(literal->ids), text);
}

TEST_F(QwenTokenizerTest, RefusesTextThatIsNotUtf8) {
  const auto result = tokenizer_->Encode("ab\xff");

  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("not UTF-8 after byte 2"));
}

TEST_F(QwenTokenizerTest, LooksUpTokens) {
  EXPECT_EQ(tokenizer_->TokenToId("no such token at all"), std::nullopt);

  const int64_t id = *tokenizer_->TokenToId("<|im_start|>");
  EXPECT_EQ(tokenizer_->IdToToken(id), "<|im_start|>");
  EXPECT_EQ(tokenizer_->IdToToken(-1), std::nullopt);
  EXPECT_EQ(tokenizer_->IdToToken(1 << 30), std::nullopt);
  EXPECT_FALSE(tokenizer_->Decode(std::vector<int64_t>{-1}).ok());
}

TEST_F(QwenTokenizerTest, StreamedTextEqualsTheWholeAndNeverSplitsACharacter) {
  const std::string text = "Naïve café — 你好，世界 😀🚀 déjà vu\n  done";
  const auto ids = tokenizer_->Encode(text)->ids;

  StreamDecoder decoder(tokenizer_);
  std::string streamed;
  for (int64_t id : ids) {
    const auto piece = decoder.Push(id);
    ASSERT_TRUE(piece.ok());
    EXPECT_EQ(piece->find("\xEF\xBF\xBD"), std::string::npos);
    streamed += *piece;
  }

  streamed += *decoder.Finish();
  EXPECT_EQ(streamed, text);
}

TEST_F(QwenTokenizerTest, StreamEndsAnUnfinishedCharacterWithTheReplacementCharacter) {
  auto ids = tokenizer_->Encode("🜚")->ids;
  ASSERT_GT(ids.size(), 1u);
  ids.pop_back();

  StreamDecoder decoder(tokenizer_);
  for (int64_t id : ids) EXPECT_EQ(*decoder.Push(id), "");
  EXPECT_THAT(*decoder.Finish(), HasSubstr("\xEF\xBF\xBD"));
}

TEST_F(QwenTokenizerTest, EncodesFromManyThreads) {
  const auto expected = tokenizer_->Encode("Hello, world!")->ids;
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;

  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        if (tokenizer_->Encode("Hello, world!", {.parse_special_tokens = i % 2 == 0})->ids !=
            expected)
          ++wrong;
      }
    });
  }

  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(TokenizerTest, ReportsAnUnusableFile) {
  const TempFolder folder;
  EXPECT_TRUE(absl::IsNotFound(Tokenizer::Load(folder.path()).status()));
  for (const char* content : {"", "{", "[]", "{\"version\": \"1.0\"}", "\xff"}) {
    WriteAll(folder.file("tokenizer.json"), content);

    const auto tokenizer = Tokenizer::Load(folder.path());
    EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument) << content;
    EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr("tokenizer.json"));
  }
}

TEST(TokenizerTest, NamesAGitLfsPointer) {
  const TempFolder folder;
  WriteAll(folder.file("tokenizer.json"), "version https://git-lfs.github.com/spec/v1\noid x\n");
  const absl::Status status = Tokenizer::Load(folder.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("git lfs pull"));
}

std::vector<std::string> TrainingTexts() {
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) {
    texts.push_back("A walnut table with brass legs, number " + std::to_string(i) +
                    ". Likes minimalist chairs.");
  }
  return texts;
}

TEST(TrainByteLevelBpeTest, MakesATokenizerThatRoundTripsAnyText) {
  const TempFolder folder;
  const BpeTrainingOptions options = {.vocab_size = 400, .special_tokens = {"<|end|>", "<|yes|>"}};

  ASSERT_TRUE(TrainByteLevelBpe(TrainingTexts(), options, folder.file("tokenizer.json")).ok());
  const auto tokenizer = Tokenizer::Load(folder.path());

  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const int64_t size = (*tokenizer)->vocab_size();
  EXPECT_LE(size, 400);
  EXPECT_GT(size, 300);

  EXPECT_EQ((*tokenizer)->TokenToId("<|end|>"), size - 2);
  EXPECT_EQ((*tokenizer)->TokenToId("<|yes|>"), size - 1);
  EXPECT_EQ((*tokenizer)->Encode("a<|yes|>")->ids.back(), size - 1);

  for (const std::string text :
       {"walnut table", "Üñïçödé 你好 😀\n\ttabs  ", "", "never-seen words: 12345!"}) {
    EXPECT_EQ(*(*tokenizer)->Decode((*tokenizer)->Encode(text)->ids), text);
  }
  EXPECT_LE((*tokenizer)->Encode(" walnut")->ids.size(), 1u);
}

// A folder with a tokenizer and a tokenizer_config.json that names tokens.
class AddedTokensTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(TrainByteLevelBpe(TrainingTexts(),
                                  {.vocab_size = 400, .special_tokens = {"<|end|>"}},
                                  folder_.file("tokenizer.json"))
                    .ok());
    size_ = (*Tokenizer::Load(folder_.path()))->vocab_size();
  }
  std::shared_ptr<const Tokenizer> With(const nlohmann::json& config) {
    WriteAll(folder_.file("tokenizer_config.json"), config.dump());
    auto tokenizer = Tokenizer::Load(folder_.path());
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
    return tokenizer.ok() ? *tokenizer : nullptr;
  }
  absl::Status ErrorOf(const nlohmann::json& config) {
    WriteAll(folder_.file("tokenizer_config.json"), config.dump());
    return Tokenizer::Load(folder_.path()).status();
  }
  std::string Key(int64_t offset) const { return std::to_string(size_ + offset); }
  static nlohmann::json Token(const std::string& content, bool special) {
    return {{"content", content}, {"lstrip", false},      {"normalized", false},
            {"rstrip", false},    {"single_word", false}, {"special", special}};
  }

  TempFolder folder_;
  int64_t size_ = 0;
};

TEST_F(AddedTokensTest, TokensThatOnlyTheConfigNamesAreKnownInTheOrderOfTheirIds) {
  // As text, "10" comes before "9".
  nlohmann::json decoder;
  decoder[Key(0)] = Token("[BRAND]", false);
  decoder[Key(1)] = Token("<|query|>", true);
  const auto tokenizer = With({{"added_tokens_decoder", decoder}});

  EXPECT_EQ(tokenizer->vocab_size(), size_ + 2);
  EXPECT_EQ(tokenizer->TokenToId("[BRAND]"), size_);
  EXPECT_EQ(tokenizer->TokenToId("<|query|>"), size_ + 1);
  EXPECT_THAT(tokenizer->Encode("a[BRAND]<|query|>b")->ids,
              ::testing::IsSupersetOf({size_, size_ + 1}));
  // Only the special one is left out, and read as characters where texts are data.
  const std::vector<int64_t> ids = {size_, size_ + 1};
  EXPECT_EQ(*tokenizer->Decode(ids), "[BRAND]");
  EXPECT_THAT(tokenizer->Encode("<|query|>", {.parse_special_tokens = false})->ids,
              ::testing::Not(::testing::Contains(size_ + 1)));
}

TEST_F(AddedTokensTest, ATokenOfTheVocabularyKeepsItsId) {
  const auto plain = With(nlohmann::json::object());
  const int64_t word = plain->Encode(" walnut")->ids.front();
  const std::string text = *plain->IdToToken(word);
  const auto tokenizer = With({{"added_tokens_decoder", {{Key(5), Token(text, false)}}}});

  EXPECT_EQ(tokenizer->vocab_size(), size_);
  EXPECT_EQ(tokenizer->TokenToId(text), word);
}

TEST_F(AddedTokensTest, ATokenWhoseIdIsNotTheNextTakesTheNextAsInTheReference) {
  const auto tokenizer = With({{"added_tokens_decoder", {{Key(7), Token("[BRAND]", false)}}}});
  EXPECT_EQ(tokenizer->TokenToId("[BRAND]"), size_);
}

TEST_F(AddedTokensTest, AdditionalSpecialTokensAreAddedOnceAndNamedTokensAreSpecial) {
  const auto tokenizer = With({{"added_tokens_decoder", {{Key(0), Token("<pad>", false)}}},
                               {"pad_token", "<pad>"},
                               {"additional_special_tokens", {"<pad>", "<extra>"}},
                               {"extra_special_tokens", {{"image_token", "<image>"}}}});
  EXPECT_EQ(tokenizer->vocab_size(), size_ + 2);
  EXPECT_EQ(tokenizer->TokenToId("<extra>"), size_ + 1);
  const std::vector<int64_t> ids = {size_, size_ + 1};
  EXPECT_EQ(*tokenizer->Decode(ids), "");
}

TEST_F(AddedTokensTest, AnEntryThatIsNoTokenIsNamed) {
  const auto message = [&](const nlohmann::json& config) {
    const absl::Status status = ErrorOf(config);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(message({{"added_tokens_decoder", {{"first", Token("x", false)}}}}),
              HasSubstr("\"first\", not an id"));
  EXPECT_THAT(message({{"added_tokens_decoder", {{"3", {{"special", true}}}}}}),
              HasSubstr("added_tokens_decoder 3 lacks the text"));
  EXPECT_THAT(message({{"added_tokens_decoder", {{"3", {{"content", "x"}, {"lstrip", "no"}}}}}}),
              HasSubstr("lstrip"));
  EXPECT_THAT(message({{"added_tokens_decoder", "none"}}), HasSubstr("added_tokens_decoder"));
}

TEST(TrainByteLevelBpeTest, IsDeterministic) {
  const TempFolder folder;
  for (const char* name : {"1.json", "2.json"}) {
    ASSERT_TRUE(TrainByteLevelBpe(TrainingTexts(), {.vocab_size = 350}, folder.file(name)).ok());
  }
  EXPECT_EQ(ReadAll(folder.file("1.json")), ReadAll(folder.file("2.json")));
}

TEST(TrainByteLevelBpeTest, RefusesAVocabularyWithoutRoomForBytes) {
  const TempFolder folder;
  const auto status =
      TrainByteLevelBpe(TrainingTexts(), {.vocab_size = 100}, folder.file("t.json"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("256 bytes"));
}

}  // namespace
}  // namespace palate::models
