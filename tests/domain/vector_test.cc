#include "domain/vector.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace palate {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;

TEST(VectorTest, DotAccumulatesInDouble) {
  EXPECT_EQ(Dot(std::vector<float>{1, 2, 3}, std::vector<float>{4, 5, 6}), 32);
  // A float accumulator would lose the 1.
  EXPECT_EQ(Dot(std::vector<float>{16'777'216, 1, -16'777'216}, std::vector<float>{1, 1, 1}), 1);
  EXPECT_EQ(Dot({}, {}), 0);
  EXPECT_EQ(Length(std::vector<float>{3, 4}), 5);
}

TEST(VectorTest, NormalizeScalesToUnitLength) {
  std::vector<float> vector = {3, 4};
  EXPECT_TRUE(Normalize(vector));
  EXPECT_THAT(vector, ElementsAre(FloatNear(0.6f, 1e-6), FloatNear(0.8f, 1e-6)));
}

TEST(VectorTest, NormalizeRefusesVectorsWithoutADirection) {
  std::vector<float> zero = {0, 0};
  EXPECT_FALSE(Normalize(zero));
  std::vector<float> infinite = {std::numeric_limits<float>::infinity(), 0};
  EXPECT_FALSE(Normalize(infinite));
  EXPECT_EQ(infinite[0], std::numeric_limits<float>::infinity());
  std::vector<float> nan = {std::nanf(""), 1};
  EXPECT_FALSE(Normalize(nan));
  std::vector<float> noise = {1e-7f, 0};
  EXPECT_FALSE(Normalize(noise, 1e-6));
  EXPECT_THAT(noise, ElementsAre(1e-7f, 0));
}

}  // namespace
}  // namespace palate
