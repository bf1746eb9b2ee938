#include "services/runtime/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/command_line.h"
#include "services/runtime/server_config.h"

namespace palate::services {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

struct Example {
  std::string name = "start";
  int threads = 2;
  bool eager = false;
  double share = 0.5;
  absl::Duration wait = absl::Milliseconds(100);
  std::map<std::string, std::string> models;

  void Bind(Config& config) {
    config.AddString("part.name", &name, "A name.");
    config.AddInt("part.threads", &threads, 1, 8, "Threads.");
    config.AddBool("part.eager", &eager, "Whether.");
    config.AddDouble("part.share", &share, 0, 1, "Share.");
    config.AddMilliseconds("part.wait_ms", &wait, 0, 1000, "Wait.");
    config.AddMap("part.models", &models, "Models.");
  }
};

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override { example_.Bind(config_); }

  Example example_;
  Config config_;
};

TEST_F(ConfigTest, YamlSetsEveryKindOfValue) {
  ASSERT_TRUE(config_
                  .LoadYaml("part:\n  name: x y\n  threads: 3\n  eager: true\n  share: 0.25\n  "
                            "wait_ms: 7\n  models:\n    a: /m/a\n    b: /m/b\n",
                            "f.yaml")
                  .ok());

  EXPECT_EQ(example_.name, "x y");
  EXPECT_EQ(example_.threads, 3);
  EXPECT_TRUE(example_.eager);
  EXPECT_EQ(example_.share, 0.25);
  EXPECT_EQ(example_.wait, absl::Milliseconds(7));
  EXPECT_THAT(example_.models, ElementsAre(Pair("a", "/m/a"), Pair("b", "/m/b")));
}

TEST_F(ConfigTest, UnknownKeyFailsWithFileAndLine) {
  const absl::Status status = config_.LoadYaml("part:\n  threads: 3\n  thread: 4\n", "f.yaml");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("f.yaml:3: part.thread: unknown key"));
}

TEST_F(ConfigTest, UnknownSectionFails) {
  EXPECT_THAT(std::string(config_.LoadYaml("other:\n  threads: 3\n", "f.yaml").message()),
              HasSubstr("f.yaml:1: other: unknown key"));
}

TEST_F(ConfigTest, RejectsDuplicateKey) {
  EXPECT_THAT(
      std::string(config_.LoadYaml("part:\n  threads: 3\n  threads: 4\n", "f.yaml").message()),
      HasSubstr("is duplicated"));
}

TEST_F(ConfigTest, ValueOutOfRangeFailsNamingTheRange) {
  const absl::Status status = config_.LoadYaml("part:\n  threads: 9\n", "f.yaml");
  EXPECT_THAT(std::string(status.message()), HasSubstr("f.yaml:2: part.threads"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("from 1 to 8"));
}

TEST_F(ConfigTest, BrokenYamlFailsWithItsLine) {
  EXPECT_THAT(std::string(config_.LoadYaml("part:\n  threads: [3\n", "f.yaml").message()),
              HasSubstr("f.yaml:"));
}

TEST_F(ConfigTest, EveryKeyHasAnEnvironmentTwin) {
  const auto lookup = [](const char* name) -> const char* {
    return std::string(name) == "PALATE_PART_WAIT_MS" ? "9" : nullptr;
  };
  ASSERT_TRUE(config_.LoadEnvironment(lookup).ok());
  EXPECT_EQ(example_.wait, absl::Milliseconds(9));
}

TEST_F(ConfigTest, EveryKeyHasAFlagTwin) {
  ASSERT_TRUE(config_.SetFlag("part.models", "a=/x,b=/y").ok());
  EXPECT_THAT(example_.models, ElementsAre(Pair("a", "/x"), Pair("b", "/y")));
  EXPECT_THAT(std::string(config_.SetFlag("part.model", "a").message()), HasSubstr("unknown flag"));
}

TEST_F(ConfigTest, HelpNamesEveryKeyWithItsValue) {
  const std::string help = config_.Help();
  for (const std::string& key : config_.Keys())
    EXPECT_THAT(help, HasSubstr("--" + FlagName(key) + "="));
}

TEST_F(ConfigTest, HelpPrintsDashes) {
  EXPECT_THAT(config_.Help(), HasSubstr("--part.wait-ms="));
  EXPECT_THAT(config_.Help(), ::testing::Not(HasSubstr("wait_ms")));
}

TEST_F(ConfigTest, FlagMeansTheSameWithDashesAndUnderscores) {
  ASSERT_TRUE(config_.SetFlag("part.wait-ms", "7").ok());
  EXPECT_EQ(example_.wait, absl::Milliseconds(7));
  ASSERT_TRUE(config_.SetFlag("part.wait_ms", "8").ok());
  EXPECT_EQ(example_.wait, absl::Milliseconds(8));
  EXPECT_THAT(std::string(config_.SetFlag("part.wait_s", "8").message()),
              HasSubstr("--part.wait-s: unknown flag"));
}

}  // namespace
}  // namespace palate::services
