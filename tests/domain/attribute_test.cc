#include "domain/attribute.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

namespace palate {
namespace {

TEST(NumberTextTest, NumbersAreWrittenInAsFewDigitsAsTheyNeed) {
  EXPECT_EQ(NumberText(0), "0");
  EXPECT_EQ(NumberText(10), "10");
  EXPECT_EQ(NumberText(19.99), "19.99");
  EXPECT_EQ(NumberText(-0.5), "-0.5");
  EXPECT_EQ(NumberText(1234567), "1234567");
  EXPECT_EQ(NumberText(1234571), "1234571");
  EXPECT_EQ(NumberText(1e15), "1000000000000000");
  EXPECT_EQ(NumberText(1e300), "1e+300");
}

TEST(NumberTextTest, EveryNumberIsReadBackAsItWas) {
  for (const double value :
       {1.0 / 3, 123456.789012345, 1e-7, 9.87654321e-5, 1e16, -2e16, 9007199254740993.0,
        std::numeric_limits<double>::max(), std::numeric_limits<double>::denorm_min()})
    EXPECT_EQ(std::strtod(NumberText(value).c_str(), nullptr), value) << NumberText(value);
}

}  // namespace
}  // namespace palate
