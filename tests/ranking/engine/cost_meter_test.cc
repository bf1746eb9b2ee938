#include "ranking/engine/cost_meter.h"

#include <gtest/gtest.h>

namespace palate::ranking {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1760000000);

TEST(CostMeterTest, EstimateFollowsDearWorkSlowlyAndCheapWorkAtOnce) {
  CostMeter meter;
  EXPECT_EQ(meter.Estimate(10, kNow), absl::ZeroDuration());
  meter.Add(10, absl::Seconds(10), kNow);
  EXPECT_NEAR(meter.seconds_per_unit(), 1, 1e-9);
  meter.Add(1, absl::Seconds(2), kNow);
  EXPECT_NEAR(meter.seconds_per_unit(), 1.2, 1e-9);
  meter.Add(10, absl::Seconds(1), kNow);
  EXPECT_NEAR(meter.seconds_per_unit(), 0.1, 1e-9);
}

TEST(CostMeterTest, EstimateHalvesInAMinuteWithoutMeasurements) {
  CostMeter meter;
  meter.Add(1, absl::Seconds(8), kNow);
  EXPECT_EQ(meter.Estimate(1, kNow), absl::Seconds(8));
  EXPECT_NEAR(absl::ToDoubleSeconds(meter.Estimate(1, kNow + absl::Minutes(3))), 1, 1e-6);
}

TEST(CostMeterTest, WorkIsMeasuredAgainWhenNothingWaitsThoughTheEstimateIsFarTooHigh) {
  CostMeter meter;
  meter.Add(10, absl::Seconds(16), kNow);
  EXPECT_TRUE(meter.Admit({.units = 10}, absl::Seconds(1.4), kNow).ok());
  meter.Add(10, absl::Milliseconds(62), kNow);
  EXPECT_LT(meter.Estimate(10, kNow), absl::Milliseconds(63));
  EXPECT_TRUE(meter.Admit({.ahead = 10, .units = 10}, absl::Seconds(1.4), kNow).ok());
}

TEST(CostMeterTest, WorkThatDoesNotFitIsRefusedWhileOtherWorkIsAhead) {
  CostMeter meter;
  meter.Add(10, absl::Seconds(16), kNow);
  const absl::Status refused = meter.Admit({.ahead = 1, .units = 10}, absl::Seconds(1.4), kNow);
  EXPECT_TRUE(absl::IsDeadlineExceeded(refused)) << refused;
  EXPECT_NE(refused.message().find("17.6s"), std::string::npos) << refused;
}

TEST(CostMeterTest, PauseBetweenTriesGrowsWhileTheyEndWithoutMeasurement) {
  CostMeter meter;
  meter.Add(10, absl::Hours(16), kNow);
  const auto admits = [&](absl::Duration later) {
    return meter.Admit({.units = 10}, absl::Seconds(1), kNow + later).ok();
  };
  EXPECT_TRUE(admits(absl::Seconds(0)));
  EXPECT_FALSE(admits(absl::Seconds(0.9)));
  EXPECT_TRUE(admits(absl::Seconds(1)));
  EXPECT_FALSE(admits(absl::Seconds(2.9)));
  EXPECT_TRUE(admits(absl::Seconds(3)));
}

TEST(CostMeterTest, WorkWithoutTimeIsNeverLetIn) {
  CostMeter meter;
  EXPECT_FALSE(meter.Admit({.units = 10}, absl::Seconds(-1), kNow).ok());
  meter.Add(10, absl::Seconds(1), kNow);
  EXPECT_FALSE(meter.Admit({.units = 10}, absl::ZeroDuration(), kNow).ok());
}

}  // namespace
}  // namespace palate::ranking
