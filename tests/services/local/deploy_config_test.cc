// The files of deploy/config have the defaults of the code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "services/local/local_stack.h"

namespace palate::services {
namespace {

using ::testing::HasSubstr;

// The values of all keys, by key.
std::map<std::string, std::string> Values(const Config& config) {
  const std::string help = config.Help();
  std::map<std::string, std::string> values;
  for (absl::string_view line : absl::StrSplit(help, '\n')) {
    const std::pair<absl::string_view, absl::string_view> flag =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (line.substr(0, 4) != "  --") continue;

    // Help has dashes where the file has underscores.
    values.emplace(absl::StrReplaceAll(flag.first.substr(4), {{"-", "_"}}), flag.second);
  }
  return values;
}

// The last part of a key: its name in the file.
std::string NameOf(const std::string& key) { return key.substr(key.rfind('.') + 1); }

// `config` holds the defaults.
void CheckFile(const std::string& name, Config& config) {
  const std::string path = absl::StrCat(PALATE_SOURCE_DIR, "/deploy/config/", name, ".yaml");
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  const std::map<std::string, std::string> defaults = Values(config);
  const absl::Status loaded = config.LoadFile(path);
  ASSERT_TRUE(loaded.ok()) << loaded;
  for (const auto& [key, value] : Values(config)) {
    EXPECT_THAT(text.str(), HasSubstr(absl::StrCat(NameOf(key), ":")))
        << key << " is missing in " << path;
    // Folders are those of an installation.
    if (NameOf(key) == "dir" || NameOf(key) == "data_dir") continue;
    EXPECT_EQ(value, defaults.at(key)) << key << " in " << path;
  }
}

template <typename Part>
void CheckPart(const std::string& name, const std::string& listen) {
  ServerConfig server;
  server.listen = listen;
  Part part;
  Config config;
  server.Bind(config);
  part.Bind(config);
  CheckFile(name, config);
}

TEST(DeployConfigTest, EmbeddingFileHoldsEveryKeyWithItsDefault) {
  CheckPart<EmbeddingConfig>("embedding", "127.0.0.1:7102");
}
TEST(DeployConfigTest, RankingFileHoldsEveryKeyWithItsDefault) {
  CheckPart<RankingConfig>("ranking", "127.0.0.1:7104");
}
TEST(DeployConfigTest, RetrievalFileHoldsEveryKeyWithItsDefault) {
  CheckPart<RetrievalConfig>("retrieval", "127.0.0.1:7103");
}
TEST(DeployConfigTest, FeatureStoreFileHoldsEveryKeyWithItsDefault) {
  CheckPart<FeatureStoreConfig>("featurestore", "127.0.0.1:7101");
}
TEST(DeployConfigTest, GatewayFileHoldsEveryKeyWithItsDefault) {
  CheckPart<GatewayConfig>("gateway", "127.0.0.1:7100");
}

TEST(DeployConfigTest, FileOfAllInOneHoldsEveryKeyWithItsDefault) {
  StackConfig stack;
  stack.server.listen = "127.0.0.1:7100";
  Config config;
  stack.Bind(config);
  CheckFile("palate", config);
}

}  // namespace
}  // namespace palate::services
