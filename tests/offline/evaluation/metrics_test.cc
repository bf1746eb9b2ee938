#include "offline/evaluation/metrics.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "offline/evaluation/popularity.h"

namespace palate::evaluation {
namespace {

using ::testing::ElementsAre;

const Relevance kGrades = {{"a", 3}, {"b", 1}, {"c", 2}, {"never", 0}};

TEST(NdcgAtTest, EqualsHandComputedExponentialGain) {
  // Worths 7, 1 and 3. Ranked x, a, c: 7 / log2(3) + 3 / log2(4). Best: 7 + 3 / log2(3) + 1 / 2.
  const double expected = (7 / std::log2(3.0) + 1.5) / (7 + 3 / std::log2(3.0) + 0.5);
  EXPECT_DOUBLE_EQ(NdcgAt(3, {"x", "a", "c"}, kGrades), expected);
}

TEST(NdcgAtTest, EqualsHandComputedLinearGain) {
  const double expected = (1 + 3 / std::log2(3.0)) / (3 + 2 / std::log2(3.0));
  EXPECT_DOUBLE_EQ(NdcgAt(2, {"b", "a"}, kGrades, Worth::kLinear), expected);
}

TEST(NdcgAtTest, IsOneForTheBestOrderAndZeroWithoutHits) {
  EXPECT_DOUBLE_EQ(NdcgAt(10, {"a", "c", "b", "x"}, kGrades), 1);
  EXPECT_DOUBLE_EQ(NdcgAt(10, {"x", "y"}, kGrades), 0);
  EXPECT_DOUBLE_EQ(NdcgAt(10, {}, kGrades), 0);
  EXPECT_DOUBLE_EQ(NdcgAt(0, {"a"}, kGrades), 0);
  EXPECT_DOUBLE_EQ(NdcgAt(10, {"a"}, {}), 0);
}

TEST(NdcgAtTest, CountsARepeatedItemOnce) {
  EXPECT_DOUBLE_EQ(NdcgAt(3, {"a", "a", "a"}, kGrades), NdcgAt(3, {"a", "x", "y"}, kGrades));
}

TEST(RecallAtTest, IsTheShareOfRelevantItemsFound) {
  EXPECT_DOUBLE_EQ(RecallAt(2, {"a", "x", "b"}, kGrades), 1.0 / 3);
  EXPECT_DOUBLE_EQ(RecallAt(3, {"a", "x", "b"}, kGrades), 2.0 / 3);
  EXPECT_DOUBLE_EQ(RecallAt(3, {"a"}, {}), 0);
}

TEST(ReciprocalRankAtTest, IsOneOverTheFirstHit) {
  EXPECT_DOUBLE_EQ(ReciprocalRankAt(10, {"x", "never", "c", "a"}, kGrades), 1.0 / 3);
  EXPECT_DOUBLE_EQ(ReciprocalRankAt(2, {"x", "never", "c"}, kGrades), 0);
}

TEST(CoverageAtTest, IsTheShareOfTheCatalogShown) {
  EXPECT_DOUBLE_EQ(CoverageAt(2, {{"a", "b", "c"}, {"b", "d"}}, 10), 0.3);
  EXPECT_DOUBLE_EQ(CoverageAt(2, {}, 10), 0);
  EXPECT_DOUBLE_EQ(CoverageAt(2, {{"a"}}, 0), 0);
}

TEST(OracleRankingTest, OrdersByGradeThenIdAndLeavesIrrelevantOut) {
  EXPECT_THAT(OracleRanking({{"d", 1}, {"b", 1}, {"a", 0}, {"c", 2}}), ElementsAre("c", "b", "d"));
}

TEST(PairedBootstrapTest, GivesTheExactGainAndAnIntervalAroundIt) {
  std::vector<double> baseline, treatment;
  for (int i = 0; i < 200; ++i) {
    baseline.push_back(0.2 + 0.001 * i);
    treatment.push_back(baseline.back() + (i % 2 == 0 ? 0.1 : 0.0));
  }

  const Gain gain = PairedBootstrap(baseline, treatment, 7);
  EXPECT_NEAR(gain.relative, 0.05 / Mean(baseline), 1e-12);
  EXPECT_LT(gain.low, gain.relative);
  EXPECT_GT(gain.high, gain.relative);

  // Half of the users gain 0.1: the deviation of the mean difference is 0.05 / sqrt(200), 1.2% of
  // the baseline's mean.
  EXPECT_NEAR(gain.low, gain.relative - 1.96 * 0.05 / std::sqrt(200.0) / Mean(baseline), 0.006);
  EXPECT_GT(gain.low, 0);
}

TEST(PairedBootstrapTest, IsTheSameForTheSameSeed) {
  const std::vector<double> baseline = {0.1, 0.5, 0.3, 0.9}, treatment = {0.2, 0.4, 0.6, 0.8};
  EXPECT_EQ(PairedBootstrap(baseline, treatment, 3).low,
            PairedBootstrap(baseline, treatment, 3).low);
}

TEST(PairedBootstrapTest, HoldsZeroWhenNothingIsDifferent) {
  const std::vector<double> values = {0.1, 0.5, 0.3};
  const Gain gain = PairedBootstrap(values, values, 1);
  EXPECT_DOUBLE_EQ(gain.relative, 0);
  EXPECT_DOUBLE_EQ(gain.low, 0);
  EXPECT_DOUBLE_EQ(gain.high, 0);
}

TEST(PairedBootstrapTest, TellsNothingWithoutABaseline) {
  EXPECT_EQ(PairedBootstrap({0, 0}, {1, 1}, 1).high, 0);
  EXPECT_EQ(PairedBootstrap({}, {}, 1).high, 0);
  EXPECT_EQ(PairedBootstrap({1}, {1, 2}, 1).high, 0);
}

TEST(FormatTableTest, AlignsColumnsByCharacters) {
  EXPECT_EQ(FormatTable({{"order", "NDCG"}, {"é", "0.25"}, {"oracle", "1"}}),
            "order   NDCG\n"
            "------------\n"
            "é       0.25\n"
            "oracle     1\n");
}

TEST(PopularOrderTest, CountsUsersOncePerItemAndIgnoresDislikes) {
  const auto event = [](const char* user, const char* item, const char* type) {
    Event made;
    made.user_id = user;
    made.item_id = item;
    made.type = type;
    return made;
  };

  const std::vector<EventTypeDeclaration> types = {{.name = "like", .weight = 1},
                                                   {.name = "dislike", .weight = -1}};

  EXPECT_THAT(PopularOrder(types, {event("u1", "a", "like"), event("u1", "a", "like"),
                                   event("u1", "b", "like"), event("u2", "b", "like"),
                                   event("u1", "c", "dislike"), event("u2", "0", "like"),
                                   event("u3", "x", "unknown")}),
              ElementsAre("b", "0", "a"));
}

}  // namespace
}  // namespace palate::evaluation
