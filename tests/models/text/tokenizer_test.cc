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
