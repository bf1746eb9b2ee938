#include "base/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace palate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(CommandLineTest, TakesValuesWithAndWithoutEqualsSign) {
  const auto line = ParseCommandLine({"a", "--x=1", "--y", "2", "--json", "--", "--z"}, {"json"});
  ASSERT_TRUE(line.ok());
  EXPECT_THAT(line->flags, ElementsAre(Pair("x", "1"), Pair("y", "2"), Pair("json", "true")));
  EXPECT_THAT(line->positional, ElementsAre("a", "--z"));
}

TEST(CommandLineTest, FlagWithoutItsValueFails) {
  EXPECT_FALSE(ParseCommandLine({"--x"}, {}).ok());
}

TEST(CommandLineTest, ReadsUnderscoresInNamesAsDashesAndLeavesValuesAlone) {
  const auto line = ParseCommandLine(
      {"--data_dir=a_b-c", "--data_dir", "d_e", "--no_wait", "--server.port_file=f_g"},
      {"no-wait"});
  ASSERT_TRUE(line.ok());
  EXPECT_THAT(line->flags, ElementsAre(Pair("data-dir", "a_b-c"), Pair("data-dir", "d_e"),
                                       Pair("no-wait", "true"), Pair("server.port-file", "f_g")));
}

TEST(FlagsTest, TakesTheSameFlagInBothSpellings) {
  for (const std::string spelling : {"--rerank-weight", "--rerank_weight"}) {
    auto flags = Flags::Parse({spelling, "0.5", spelling + "=0.75"}, {});
    ASSERT_TRUE(flags.ok());
    EXPECT_EQ(*flags->Number("rerank-weight", 0, 0, 1), 0.75) << spelling;
    EXPECT_TRUE(flags->CheckAllUsed().ok()) << spelling;
  }
}

TEST(FlagsTest, ReturnsFallbacksOfAbsentFlags) {
  auto flags = Flags::Parse({}, {});
  ASSERT_TRUE(flags.ok());
  EXPECT_EQ(flags->Text("a", "x"), "x");
  EXPECT_EQ(*flags->Int("b", 3, 1, 5), 3);
  EXPECT_EQ(*flags->Int64("c", int64_t{1} << 40, 0, int64_t{1} << 41), int64_t{1} << 40);
  EXPECT_FALSE(flags->Switch("d"));
}

TEST(FlagsTest, NumberOutOfBoundsFailsNamingFlagAndBounds) {
  auto flags = Flags::Parse({"--num_results=900"}, {});
  ASSERT_TRUE(flags.ok());
  const absl::StatusOr<int> value = flags->Int("num-results", 10, 1, 500);
  EXPECT_EQ(value.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(value.status().message()),
              HasSubstr("--num-results is 900; must be a whole number from 1 to 500"));
}

TEST(FlagsTest, FlagThatIsNeverTakenFails) {
  auto flags = Flags::Parse({"--known=1", "--un_known=2"}, {});
  ASSERT_TRUE(flags.ok());
  flags->Text("known");
  EXPECT_EQ(flags->CheckAllUsed().message(), "unknown flag --un-known");
}

}  // namespace
}  // namespace palate
