#include "models/dtype_race.h"

#include <gtest/gtest.h>

#include <fstream>

#include "absl/time/clock.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

RaceRun Takes(absl::Duration duration, int* runs = nullptr) {
  return [duration, runs] {
    absl::SleepFor(duration);
    if (runs != nullptr) ++*runs;
    return absl::OkStatus();
  };
}

TEST(DtypeRaceTest, FasterTypeWins) {
  const auto slow = RaceDtypes(Takes(absl::Milliseconds(1)), Takes(absl::Milliseconds(20)));
  ASSERT_TRUE(slow.ok());
  EXPECT_EQ(slow->winner(), at::kFloat);
  const auto fast = RaceDtypes(Takes(absl::Milliseconds(20)), Takes(absl::Milliseconds(1)));
  ASSERT_TRUE(fast.ok());
  EXPECT_EQ(fast->winner(), at::kBFloat16);
}

TEST(DtypeRaceTest, ExactTypeWinsWhenTheOtherIsHardlyFaster) {
  EXPECT_EQ((DtypeRace{1.0, 0.95}).winner(), at::kFloat);
  EXPECT_EQ((DtypeRace{1.0, 0.5}).winner(), at::kBFloat16);
  EXPECT_EQ((DtypeRace{5086, 9472}).Reason(), "measured: bf16 takes 1.86 times as long as fp32");
}

TEST(DtypeRaceTest, SlowWorkIsMeasuredOnceEach) {
  int fp32 = 0, bf16 = 0;
  ASSERT_TRUE(RaceDtypes(Takes(absl::Milliseconds(5), &fp32), Takes(absl::Milliseconds(5), &bf16),
                         absl::Milliseconds(1))
                  .ok());
  EXPECT_EQ(fp32, 2) << "a warm-up and a measurement";
  EXPECT_EQ(bf16, 2);
}

TEST(DtypeRaceTest, QuickWorkIsMeasuredTwentyTimes) {
  int fp32 = 0, bf16 = 0;
  ASSERT_TRUE(RaceDtypes(Takes(absl::ZeroDuration(), &fp32), Takes(absl::ZeroDuration(), &bf16),
                         absl::Seconds(20))
                  .ok());
  EXPECT_EQ(fp32, 21);
  EXPECT_EQ(bf16, 21);
}

TEST(DtypeRaceTest, FirstErrorOfTheWorkEndsTheRace) {
  const auto race =
      RaceDtypes([] { return absl::InternalError("broken"); }, Takes(absl::ZeroDuration()));
  EXPECT_EQ(race.status(), absl::InternalError("broken"));
}

TEST(DtypeRaceTest, OutcomeIsRememberedInTheFileAndInTheProcess) {
  const TempFolder folder;
  const std::string file = folder.path() + "/cache/types";
  EXPECT_FALSE(RememberedRace("0123", file).has_value());
  ASSERT_TRUE(RememberRace("0123", {1, 2}, file).ok());
  ASSERT_TRUE(RememberRace("4567", {2, 1}, file).ok());
  ASSERT_TRUE(RememberedRace("0123", "").has_value());
  ASSERT_TRUE(RememberedRace("4567", file).has_value());
  EXPECT_EQ(RememberedRace("4567", file)->winner(), at::kBFloat16);

  // What another process wrote counts, whatever else the file holds.
  std::ofstream(file, std::ios::app) << "half a li\n89ab nan 1\ncdef 3 1\n0123 3 1\n";
  EXPECT_EQ(RememberedRace("cdef", file)->winner(), at::kBFloat16);
  EXPECT_EQ(RememberedRace("0123", file)->winner(), at::kBFloat16);
  EXPECT_FALSE(RememberedRace("89ab", file).has_value());
}

TEST(DtypeRaceTest, FileThatCannotBeWrittenIsAnErrorAndTheProcessRemembers) {
  EXPECT_FALSE(RememberRace("fedc", {1, 2}, "/proc/none/types").ok());
  EXPECT_TRUE(RememberedRace("fedc", "/proc/none/types").has_value());
}

TEST(DtypeRaceTest, KeyFollowsConfigurationAndSizeOfTheWeights) {
  const TempFolder folder;
  const auto write = [&](const std::string& name, const std::string& content) {
    std::ofstream(folder.path() + "/" + name) << content;
  };
  write("config.json", "{}");
  write("model.safetensors", "1234");
  const std::string key = RaceKey({folder.path()});
  EXPECT_EQ(key.size(), 16u);
  EXPECT_EQ(WeightBytes({folder.path()}), 4);
  write("README.md", "words");
  EXPECT_EQ(RaceKey({folder.path()}), key);
  write("model.safetensors", "12345");
  const std::string larger = RaceKey({folder.path()});
  EXPECT_NE(larger, key);
  write("config.json", "{\"hidden_size\": 2}");
  EXPECT_NE(RaceKey({folder.path()}), larger);
}

}  // namespace
}  // namespace palate::models
