// The usage examples in the headers of pipeline/, compiled and run.
#include "tests/usage_examples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status.h"
#include "pipeline/recommender.h"
#include "pipeline/stage.h"
#include "pipeline/user_model.h"
#include "tests/fakes/fake_pipeline_parts.h"

namespace palate::pipeline {
namespace {

using ::testing::SizeIs;

// Expects that this file has the example of `header`.
void ExpectExampleOf(const std::string& header) {
  ExpectTestHasExampleOf(header, "tests/pipeline/usage_examples_test.cc");
}

absl::Status UseRecommender(absl::Time deadline) {
  FakeFeatures features;
  for (const char* id : {"mug", "cup", "pot", "pan"}) {
    features.AddItem(id, {1, 0});
    features.context.trending.push_back({id, 1});
  }
  FakeEmbedder embedder;
  FakeRetriever retriever(features);
  FakeRanker ranker;
  const SystemClock clock;

  const Recommender recommender({features, embedder, retriever, ranker}, clock, {});
  RecommendQuery query;
  query.catalog = "shop";
  query.user_id = "u1";
  query.num_results = 3;
  PALATE_ASSIGN_OR_RETURN(const RecommendResult result,
                          recommender.Recommend(query, {.deadline = deadline}));
  recommender.RecordImpression(query, result);

  EXPECT_THAT(result.results, SizeIs(3));
  return absl::OkStatus();
}

TEST(UsageExampleTest, Recommender) {
  ExpectExampleOf("pipeline/recommender.h");

  const absl::Status status = UseRecommender(absl::Now() + absl::Seconds(60));
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseStage() {
  const RecommendQuery query;
  RequestState state(query);

  class HeadStage final : public Stage {
   public:
    StageId id() const override { return StageId::kDiversify; }
    absl::Status Run(RequestState& state) const override {
      if (state.candidates.empty()) {
        state.Skip(Degradation::kNoCandidates, "there is nothing to cut");
        return absl::OkStatus();
      }
      state.candidates.resize(1);
      return absl::OkStatus();
    }
  };

  std::vector<StageReport> reports;
  PALATE_RETURN_IF_ERROR(RunStage(HeadStage(), state, reports));

  EXPECT_THAT(reports, SizeIs(1));
  EXPECT_EQ(reports.front().outcome, StageOutcome::kSkipped);
  return absl::OkStatus();
}

TEST(UsageExampleTest, Stage) {
  ExpectExampleOf("pipeline/stage.h");

  const absl::Status status = UseStage();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(UsageExampleTest, UserModel) {
  ExpectExampleOf("pipeline/user_model.h");

  FakeFeatures features;
  features.AddItem("mug", {1, 0});
  features.AddEvent("mug", 1, absl::UnixEpoch());
  const UserContext& context = features.context;
  std::vector<VectorQuery> queries;

  const UserModel model = BuildUserModel(context, UserModelOptions{});
  for (const InterestCentroid& interest : model.likes)
    queries.push_back({.vector = {interest.space, interest.centroid}, .k = 100});

  EXPECT_THAT(queries, SizeIs(1));
}

}  // namespace
}  // namespace palate::pipeline
