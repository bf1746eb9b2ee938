#include "domain/rating.h"

#include <gtest/gtest.h>

#include <vector>

namespace palate {
namespace {

RatingStats StatsOf(const std::vector<double>& values) {
  RatingStats stats;
  for (const double value : values) stats.Add(value);
  return stats;
}

double BaselineOf(const std::vector<double>& values) { return StatsOf(values).Baseline(); }

TEST(RatingTest, EqualRatingsAtTheTopOfTheirScaleAreLikings) {
  EXPECT_LT(BaselineOf({5}), 5);
  EXPECT_LT(BaselineOf({5, 5, 5, 5, 5, 5}), 4.5);
  EXPECT_LT(BaselineOf(std::vector<double>(100, 5)), 5);
  EXPECT_LT(BaselineOf({9, 9, 9}), 9);
  EXPECT_LT(BaselineOf({90, 90}), 90);
  EXPECT_LT(BaselineOf({1, 0, 1, 1}), 1);
}

TEST(RatingTest, EqualRatingsAtTheBottomOfTheirScaleAreDislikes) {
  EXPECT_GT(BaselineOf({2, 2, 2}), 2);
  EXPECT_GT(BaselineOf({20}), 20);
  EXPECT_GT(BaselineOf({-1}), -1);
}

TEST(RatingTest, OwnMeanOfAUserWithManyRatingsPrevails) {
  std::vector<double> mild;
  for (int i = 0; i < 200; ++i) mild.push_back(i % 2 == 0 ? 5 : 4);
  EXPECT_NEAR(BaselineOf(mild), 4.5, 0.05);
}

TEST(RatingTest, RatingsThatTellNoScaleAreComparedWithTheirMean) {
  EXPECT_EQ(BaselineOf({1, 1}), 1);
  EXPECT_EQ(BaselineOf({250, 350}), 300);
  EXPECT_EQ(BaselineOf({}), 0);
}

TEST(RatingTest, EventOfAnUndeclaredTypeAndARatingWithoutValueWeighNothing) {
  const EventTypeDeclaration like = {.name = "like", .weight = 2};
  const EventTypeDeclaration rating = {.name = "rating", .weight = 2, .value_is_rating = true};
  Event event;
  EXPECT_EQ(EventWeight(nullptr, event, 3), 0);
  EXPECT_EQ(EventWeight(&like, event, 3), 2);
  EXPECT_EQ(EventWeight(&rating, event, 3), 0);
  event.value = 4.5;
  EXPECT_EQ(EventWeight(&rating, event, 3), 3);
}

}  // namespace
}  // namespace palate
