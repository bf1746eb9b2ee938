// The usage examples in the headers of ranking/ and ranking/explain, and of the parts of
// ranking/engine without LibTorch, compiled and run.
#include "tests/usage_examples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "ranking/blend.h"
#include "ranking/diversity.h"
#include "ranking/engine/rerank_protocol.h"
#include "ranking/explain/evidence_check.h"
#include "ranking/explain/explanation_plan.h"
#include "ranking/explain/explanation_templates.h"
#include "ranking/explain/template_explainer.h"
#include "ranking/pointwise_text.h"
#include "ranking/preferences.h"
#include "ranking/prompt.h"
#include "tests/models/golden.h"
#include "tests/ranking/ranking_test_data.h"

namespace palate::ranking {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Expects that this file has the example of `header`.
void ExpectExampleOf(const std::string& header) {
  ExpectTestHasExampleOf(header, "tests/ranking/usage_examples_test.cc");
}

ExplainInput ExampleInput() {
  ExplainInput input;
  input.history = WalnutHistory();
  input.item = WalnutChair();
  return input;
}

absl::Status UseBlend(double catalog_weight, int informative_events,
                      absl::Span<const double> stage_scores, absl::Span<const float> model_scores) {
  const double weight = GatedWeight(catalog_weight, informative_events);
  PALATE_ASSIGN_OR_RETURN(const std::vector<double> blended,
                          Blend(stage_scores, model_scores, weight));

  EXPECT_EQ(blended.size(), stage_scores.size());
  return absl::OkStatus();
}

TEST(UsageExampleTest, Blend) {
  ExpectExampleOf("ranking/blend.h");

  EXPECT_TRUE(UseBlend(0.8, 12, {1.0, 2.0}, {0.5f, -0.5f}).ok());
}

TEST(UsageExampleTest, Diversify) {
  ExpectExampleOf("ranking/diversity.h");
  std::vector<DiversityCandidate> candidates(4);
  for (size_t i = 0; i < candidates.size(); ++i) {
    candidates[i].item_id = std::string(1, static_cast<char>('a' + i));
    candidates[i].score = -static_cast<double>(i);
    candidates[i].capped_values = {{i < 3 ? "lighting" : "garden"}};
  }
  std::vector<std::string> served;

  DiversityOptions options;
  options.num_results = 3;
  options.caps = {{.attribute = "category", .max_per_value = 2}};
  for (const DiversityPick& pick : Diversify(candidates, options))
    served.push_back(candidates[pick.index].item_id);

  EXPECT_THAT(served, ElementsAre("a", "b", "d"));
}

TEST(UsageExampleTest, PointwiseText) {
  ExpectExampleOf("ranking/pointwise_text.h");
  const std::vector<HistoryEntry> history = WalnutHistory();
  const ItemFacts item = WalnutChair();

  const std::string query = QueryFromHistory(history);
  const std::string document = DocumentFromFacts(item);

  EXPECT_THAT(query, HasSubstr("walnut"));
  EXPECT_THAT(document, HasSubstr("walnut"));
}

TEST(UsageExampleTest, Summarize) {
  ExpectExampleOf("ranking/preferences.h");
  const std::vector<HistoryEntry> history = WalnutHistory();
  std::vector<std::string> words;

  const PreferenceSummary summary = Summarize(history);
  for (const Preference& like : summary.likes) words.push_back(like.value);

  EXPECT_THAT(words, Contains("walnut"));
}

TEST(UsageExampleTest, BuildRankPrompt) {
  ExpectExampleOf("ranking/prompt.h");
  RankInput input;
  input.history = WalnutHistory();
  input.candidates = {WalnutChair()};
  size_t num_segments = 0;

  const RankPrompt prompt = BuildRankPrompt(input, Summarize(input.history));
  for (const std::vector<Segment>& candidate : prompt.candidates) num_segments += candidate.size();

  EXPECT_GT(num_segments, 2u);
}

TEST(UsageExampleTest, MakePlan) {
  ExpectExampleOf("ranking/explain/explanation_plan.h");
  const ExplainInput input = ExampleInput();
  std::vector<std::string> said;

  const ExplanationPlan plan = MakePlan(input, Summarize(input.history));
  for (const PlannedPoint& point : plan.points) said.push_back(point.said);

  EXPECT_THAT(said, Contains("walnut"));
}

TEST(UsageExampleTest, EvidenceChecker) {
  ExpectExampleOf("ranking/explain/evidence_check.h");
  const ExplainInput input = ExampleInput();
  std::string reason;

  const ExplanationPlan plan = MakePlan(input, Summarize(input.history));
  const EvidenceChecker checker(plan);
  const EvidenceVerdict verdict = checker.Check("It is made of walnut.");
  if (!verdict.accepted) reason = verdict.reason;

  EXPECT_EQ(reason, "");
}

absl::Status UseTemplates(const ExplainInput& input, const ExplanationPlan& plan) {
  const std::vector<Segment> text = WriteExplanation(plan, ExplanationSeed(input));
  PALATE_ASSIGN_OR_RETURN(const std::string filled, FillSlots(plan, text));

  EXPECT_FALSE(filled.empty());
  return absl::OkStatus();
}

TEST(UsageExampleTest, WriteExplanation) {
  ExpectExampleOf("ranking/explain/explanation_templates.h");
  const ExplainInput input = ExampleInput();

  EXPECT_TRUE(UseTemplates(input, MakePlan(input, Summarize(input.history))).ok());
}

TEST(UsageExampleTest, ExplainWithTemplate) {
  ExpectExampleOf("ranking/explain/template_explainer.h");
  const ExplainInput input = ExampleInput();

  const Explanation explanation = ExplainWithTemplate(input);

  EXPECT_FALSE(explanation.text.empty());
}

absl::Status UseRerankProtocol(const std::shared_ptr<const models::Tokenizer>& tokenizer,
                               int64_t max_positions) {
  PALATE_ASSIGN_OR_RETURN(const auto protocol,
                          RerankProtocol::Create(tokenizer, RerankStyle::kText, max_positions));
  RerankPair pair;
  pair.instruction = DefaultInstruction(RerankStyle::kText);
  pair.query = "a walnut chair";
  pair.document = "A chair of solid walnut.";
  PALATE_ASSIGN_OR_RETURN(const EncodedPair encoded, protocol->Encode(pair));

  EXPECT_FALSE(encoded.ids.empty());
  return absl::OkStatus();
}

TEST(UsageExampleTest, RerankProtocol) {
  ExpectExampleOf("ranking/engine/rerank_protocol.h");
  const models::Golden golden("qwen3-gqa");
  PALATE_SKIP_WITHOUT(golden);

  const auto tokenizer = models::Tokenizer::Load(golden.checkpoint());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const absl::Status status = UseRerankProtocol(*tokenizer, 4096);
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace palate::ranking
