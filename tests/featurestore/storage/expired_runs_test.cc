// Runs of expired rows: what is skipped, and that a row that was written meanwhile never is.
#include "featurestore/storage/expired_runs.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace palate::featurestore {
namespace {

TEST(ExpiredRunsTest, AreFoundForTheirKeysOnceAllOfThemHaveExpired) {
  ExpiredRuns runs;
  runs.Add(runs.Begin(), {.first = "b", .end = "k", .expired_by_us = 70});
  EXPECT_EQ(runs.Find("b", 70)->end, "k");
  EXPECT_EQ(runs.Find("jzz", 90)->end, "k");
  EXPECT_FALSE(runs.Find("b", 69).has_value());
  EXPECT_FALSE(runs.Find("a", 90).has_value());
  EXPECT_FALSE(runs.Find("k", 90).has_value());

  runs.Add(runs.Begin(), {.first = "a", .end = "c", .expired_by_us = 80});
  EXPECT_EQ(runs.Find("b", 90)->end, "c") << "the later one replaces what it overlaps";
  EXPECT_FALSE(runs.Find("d", 90).has_value());
}

TEST(ExpiredRunsTest, NeverHoldARowThatIsWrittenAfterTheirScanBegan) {
  ExpiredRuns runs;
  const int64_t begun = runs.Begin();
  runs.RowWritten("e");
  runs.Add(begun, {.first = "b", .end = "k", .expired_by_us = 70});
  EXPECT_FALSE(runs.Find("b", 90).has_value());
  runs.Add(begun, {.first = "f", .end = "k", .expired_by_us = 70});
  EXPECT_TRUE(runs.Find("f", 90).has_value()) << "the row is not in this run";

  runs.RowWritten("h");
  EXPECT_EQ(runs.Find("f", 90)->end, "h");
  EXPECT_FALSE(runs.Find("h", 90).has_value());
  EXPECT_EQ(runs.Find("i", 90)->end, "k");

  const int64_t long_ago = runs.Begin();
  for (int i = 0; i < 5000; ++i) runs.RowWritten(absl::StrCat("z", i));
  runs.Add(long_ago, {.first = "b", .end = "c", .expired_by_us = 70});
  EXPECT_FALSE(runs.Find("b", 90).has_value()) << "too much was written to know";
}

}  // namespace
}  // namespace palate::featurestore
