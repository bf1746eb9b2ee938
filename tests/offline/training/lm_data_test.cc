#include "offline/training/lm_data.h"

#include "gtest/gtest.h"
#include "offline/training/tokenizer_corpus.h"
#include "tests/temp_folder.h"

namespace palate::training {
namespace {

class LmDataTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const TempFolder folder;
    ASSERT_TRUE(TrainTokenizer({.seed = 1, .vocab_size = 1500, .shops = 3}, folder.path()).ok());
    tokenizer_ =
        new std::shared_ptr<const models::Tokenizer>(*models::Tokenizer::Load(folder.path()));
  }
  static void TearDownTestSuite() { delete tokenizer_; }

  std::unique_ptr<LmData> Data(const LmDataOptions& options = {}) {
    auto encoder = ranking::PromptEncoder::Create(*tokenizer_);
    EXPECT_TRUE(encoder.ok()) << encoder.status();
    return std::make_unique<LmData>(*std::move(encoder), options);
  }

  static std::shared_ptr<const models::Tokenizer>* tokenizer_;
};
std::shared_ptr<const models::Tokenizer>* LmDataTest::tokenizer_ = nullptr;

TEST_F(LmDataTest, ExampleFollowsFromItsNumberAloneInAnyOrder) {
  const auto forward = Data(), backward = Data();
  std::vector<RankExample> first;
  for (uint64_t i = 0; i < 30; ++i) first.push_back(*forward->Rank(i * 37));

  for (uint64_t i = 30; i-- > 0;) {
    const RankExample again = *backward->Rank(i * 37);
    EXPECT_EQ(again.prefix, first[i].prefix);
    EXPECT_EQ(again.candidates, first[i].candidates);
    EXPECT_EQ(again.targets, first[i].targets);
  }
}

TEST_F(LmDataTest, EveryCandidateEndsInALabelSlotWithATarget) {
  const auto data = Data();
  const int64_t label = data->encoder().Id(ranking::SpecialToken::kLabel);
  for (uint64_t i = 0; i < 20; ++i) {
    const RankExample example = *data->Rank(i);
    ASSERT_FALSE(example.candidates.empty());
    ASSERT_EQ(example.candidates.size(), example.targets.size());

    for (const auto& candidate : example.candidates) EXPECT_EQ(candidate.back(), label);
    for (const auto& [position, target] : example.history_targets) {
      EXPECT_EQ(example.prefix[position], label);
      EXPECT_TRUE(target == 0 || target == 1);
    }
  }
}

TEST_F(LmDataTest, MoreWantedCandidatesHaveHigherTargets) {
  EXPECT_LT(LmData::TargetOf(-1), LmData::TargetOf(0.5));
  EXPECT_NEAR(LmData::TargetOf(1.4), 0.5, 1e-6);
  EXPECT_LT(LmData::TargetOf(2), LmData::TargetOf(3));
}

TEST_F(LmDataTest, ExplanationEndsInTheEndToken) {
  const auto data = Data();
  for (uint64_t i = 0; i < 20; ++i) {
    const ExplainExample example = *data->Explain(i, i % 3);

    EXPECT_LT(example.prompt_size + 3, example.ids.size());
    EXPECT_EQ(example.ids[example.prompt_size - 1],
              data->encoder().Id(ranking::SpecialToken::kWrite));
    EXPECT_EQ(example.ids.back(), data->encoder().Id(ranking::SpecialToken::kEnd));
  }
}

TEST_F(LmDataTest, SpecialTokensInItemTextStayText) {
  const auto data = Data();
  const auto ids = data->encoder().Encode({ranking::Segment::Text(" <|yes|>")});

  ASSERT_TRUE(ids.ok()) << ids.status();
  for (const int64_t id : *ids) EXPECT_NE(id, data->encoder().Id(ranking::SpecialToken::kYes));
}

TEST_F(LmDataTest, ShuffledShopsKeepTheTargetsOfTheSameShoppers) {
  LmDataOptions options;
  options.shuffled_share = 0.0;
  const auto plain = Data(options);
  options.shuffled_share = 1.0;
  const auto shuffled = Data(options);

  const RankExample a = *plain->Rank(3), b = *shuffled->Rank(3);
  EXPECT_NE(a.prefix, b.prefix);
  EXPECT_EQ(a.candidates.size(), b.candidates.size());
}

}  // namespace
}  // namespace palate::training
