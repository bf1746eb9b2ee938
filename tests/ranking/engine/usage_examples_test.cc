// The usage examples in the headers of ranking/ that need LibTorch, compiled and run.
#include "tests/usage_examples.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "ranking/engine/llm_engine.h"
#include "ranking/engine/pointwise_reranker.h"
#include "ranking/engine/prompt_encoder.h"
#include "ranking/ranker.h"
#include "tests/models/golden.h"
#include "tests/ranking/engine/tiny_model.h"
#include "tests/ranking/ranking_test_data.h"
#include "tests/temp_folder.h"

namespace palate::ranking {
namespace {

// Expects that this file has the example of `header`.
void ExpectExampleOf(const std::string& header) {
  ExpectTestHasExampleOf(header, "tests/ranking/engine/usage_examples_test.cc");
}

absl::Time InAMinute() { return absl::Now() + absl::Minutes(1); }

RankInput ChairAndMug() {
  RankInput input;
  input.history = WalnutHistory();
  input.candidates = {WalnutChair(), MakeItem("mug", "Mug", {{"material", "clay"}})};
  return input;
}

class UsageExampleTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    temp_folder_ = std::make_unique<TempFolder>();
    folder_ = temp_folder_->path();
    ASSERT_TRUE(WriteTinyModel(folder_).ok());
  }
  static void TearDownTestSuite() { temp_folder_.reset(); }

  static inline std::unique_ptr<TempFolder> temp_folder_;
  static inline std::string folder_;
};

absl::Status UseRanker(const std::string& folder, const RankInput& input, absl::Time deadline) {
  RankerConfig config;
  config.models = {{.name = "shopper", .folder = folder}};
  PALATE_ASSIGN_OR_RETURN(const auto ranker, Ranker::Create(config));
  PALATE_ASSIGN_OR_RETURN(const RankOutput ranking, ranker->Rank(input, {.deadline = deadline}));

  EXPECT_EQ(ranking.scores.size(), input.candidates.size());
  return absl::OkStatus();
}

TEST_F(UsageExampleTest, Ranker) {
  ExpectExampleOf("ranking/ranker.h");

  const absl::Status status = UseRanker(folder_, ChairAndMug(), InAMinute());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseLlmEngine(const std::string& folder, const RankInput& input,
                          const std::vector<ExplainInput>& explain_inputs, absl::Time deadline) {
  PALATE_ASSIGN_OR_RETURN(const auto engine, LlmEngine::Load(folder));
  PALATE_ASSIGN_OR_RETURN(const RankOutput ranking, engine->Rank(input, {.deadline = deadline}));
  PALATE_ASSIGN_OR_RETURN(const std::vector<Explanation> explanations,
                          engine->Explain(explain_inputs, /*on_text=*/nullptr, {}));

  EXPECT_EQ(ranking.scores.size(), input.candidates.size());
  EXPECT_EQ(explanations.size(), explain_inputs.size());
  return absl::OkStatus();
}

TEST_F(UsageExampleTest, LlmEngine) {
  ExpectExampleOf("ranking/engine/llm_engine.h");
  ExplainInput chair;
  chair.history = WalnutHistory();
  chair.item = WalnutChair();

  const absl::Status status = UseLlmEngine(folder_, ChairAndMug(), {chair}, InAMinute());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UsePromptEncoder(const std::shared_ptr<const models::Tokenizer>& tokenizer,
                              const RankInput& input) {
  PALATE_ASSIGN_OR_RETURN(const auto encoder, PromptEncoder::Create(tokenizer));
  const RankPrompt prompt =
      BuildRankPrompt(input, Summarize(input.history), {}, encoder->Counter());
  PALATE_ASSIGN_OR_RETURN(const EncodedRankPrompt encoded, encoder->Encode(prompt));

  EXPECT_EQ(encoded.candidates.size(), input.candidates.size());
  return absl::OkStatus();
}

TEST_F(UsageExampleTest, PromptEncoder) {
  ExpectExampleOf("ranking/engine/prompt_encoder.h");

  const auto tokenizer = models::Tokenizer::Load(folder_);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const absl::Status status = UsePromptEncoder(*tokenizer, ChairAndMug());
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseReranker(const std::string& folder, absl::Time deadline) {
  PALATE_ASSIGN_OR_RETURN(const auto reranker, PointwiseReranker::Load(folder));
  RankInput input;
  input.query = RankContent{"a walnut chair"};
  input.documents = {{"A chair of solid walnut."}, {"A brass lamp."}};
  PALATE_ASSIGN_OR_RETURN(const RankOutput output, reranker->Rank(input, {.deadline = deadline}));
  const std::vector<float>& relevance = output.relevance;

  EXPECT_EQ(relevance.size(), 2u);
  return absl::OkStatus();
}

TEST_F(UsageExampleTest, PointwiseReranker) {
  ExpectExampleOf("ranking/engine/pointwise_reranker.h");
  const models::Golden golden("qwen3-gqa");
  PALATE_SKIP_WITHOUT(golden);

  const absl::Status status = UseReranker(golden.checkpoint(), InAMinute());
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace palate::ranking
