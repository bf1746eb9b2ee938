#include "ranking/blend.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace palate::ranking {
namespace {

using ::testing::DoubleEq;
using ::testing::DoubleNear;
using ::testing::ElementsAre;

TEST(BlendTest, EqualsHandComputedStandardScores) {
  // Stage: mean 2, deviation sqrt(2/3). Model: mean 0, deviation sqrt(8/3).
  const auto blended = Blend({1.0, 2.0, 3.0}, {2.0f, -2.0f, 0.0f}, 0.25);
  ASSERT_TRUE(blended.ok());
  const double z = std::sqrt(1.5);
  EXPECT_THAT(*blended, ElementsAre(DoubleNear(-0.75 * z + 0.25 * z, 1e-12),
                                    DoubleNear(-0.25 * z, 1e-12), DoubleNear(0.75 * z, 1e-12)));
}

TEST(BlendTest, KeepsTheStageOrderAtWeightZeroAndTheModelsAtOne) {
  const auto stage = Blend({3.0, 1.0, 2.0}, {0.0f, 9.0f, 5.0f}, 0);
  ASSERT_TRUE(stage.ok());
  EXPECT_GT((*stage)[0], (*stage)[2]);
  EXPECT_GT((*stage)[2], (*stage)[1]);
  const auto model = Blend({3.0, 1.0, 2.0}, {0.0f, 9.0f, 5.0f}, 1);
  ASSERT_TRUE(model.ok());
  EXPECT_GT((*model)[1], (*model)[2]);
  EXPECT_GT((*model)[2], (*model)[0]);
}

TEST(BlendTest, IsFreeOfEitherScoresUnit) {
  const auto small = Blend({0.1, 0.2, 0.4}, {1.0f, 3.0f, 2.0f}, 0.5);
  const auto large = Blend({1001.0, 1002.0, 1004.0}, {10.0f, 30.0f, 20.0f}, 0.5);
  ASSERT_TRUE(small.ok() && large.ok());
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR((*small)[i], (*large)[i], 1e-6);
}

TEST(BlendTest, SaysNothingWhereAllScoresAreEqual) {
  const auto blended = Blend({5.0, 5.0}, {1.0f, 1.0f}, 0.5);
  ASSERT_TRUE(blended.ok());
  EXPECT_THAT(*blended, ElementsAre(0.0, 0.0));
}

TEST(BlendTest, RefusesWhatCannotBeBlended) {
  EXPECT_EQ(Blend({1.0}, {1.0f, 2.0f}, 0.5).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Blend({1.0}, {1.0f}, 1.5).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Blend({std::numeric_limits<double>::quiet_NaN()}, {1.0f}, 0.5).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Blend({1.0}, {std::numeric_limits<float>::infinity()}, 0.5).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Blend({}, {}, 0.5).ok());
}

TEST(NormalizeTest, SpreadsRanksEvenlyAndSharesTies) {
  const auto ranked = Normalize({10.0, 7.0, 7.0, 1000.0, -3.0}, Normalization::kRank);
  ASSERT_TRUE(ranked.ok());
  EXPECT_THAT(*ranked, ElementsAre(DoubleEq(0.5), DoubleEq(-0.25), DoubleEq(-0.25), DoubleEq(1.0),
                                   DoubleEq(-1.0)));
}

TEST(GatedWeightTest, GrowsWithTheHistory) {
  const GateOptions options{.min_history = 2, .full_history = 5};
  EXPECT_EQ(GatedWeight(0.8, 0, options), 0);
  EXPECT_EQ(GatedWeight(0.8, 1, options), 0);
  EXPECT_DOUBLE_EQ(GatedWeight(0.8, 2, options), 0.2);
  EXPECT_DOUBLE_EQ(GatedWeight(0.8, 4, options), 0.6);
  EXPECT_DOUBLE_EQ(GatedWeight(0.8, 5, options), 0.8);
  EXPECT_DOUBLE_EQ(GatedWeight(0.8, 500, options), 0.8);
  EXPECT_EQ(GatedWeight(0, 500, options), 0);
}

}  // namespace
}  // namespace palate::ranking
