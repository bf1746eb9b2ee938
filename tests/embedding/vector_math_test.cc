#include "embedding/vector_math.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace palate::embedding {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;

TEST(WeightedSumTest, CutsToDimensionsAndNormalizesAgain) {
  WeightedSum sum;
  sum.Add(std::vector<float>{0.6f, 0.0f, 0.8f});
  EXPECT_THAT(sum.UnitVector(2), ElementsAre(FloatNear(1, 1e-6), FloatNear(0, 1e-6)));
}

TEST(WeightedSumTest, LeansToTheHeavierVector) {
  WeightedSum sum;
  sum.Add(std::vector<float>{1, 0}, 3);
  sum.Add(std::vector<float>{0, 1}, 1);
  const auto unit = sum.UnitVector(2);
  EXPECT_NEAR(unit[0] / unit[1], 3, 1e-5);
}

TEST(WeightedSumTest, TakesTheFirstVectorWhenAllCancel) {
  WeightedSum sum;
  sum.Add(std::vector<float>{1, 0});
  sum.Add(std::vector<float>{-1, 0});
  EXPECT_THAT(sum.UnitVector(2), ElementsAre(1, 0));
}

}  // namespace
}  // namespace palate::embedding
