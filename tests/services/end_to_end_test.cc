// The five services as five processes over TCP: the calls of a product backend, and the start and
// end of processes.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/version.h"
#include "services/runtime/channel.h"
#include "tests/eventually.h"
#include "tests/services/processes.h"
#include "tests/services/shop.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

absl::Status CheckHealth(const std::string& address) {
  BoundContext context({.deadline = absl::Now() + absl::Seconds(20)});
  grpc::ByteBuffer request;
  grpc::Slice nothing;
  request = grpc::ByteBuffer(&nothing, 1);
  grpc::ByteBuffer response;
  StatusWaiter waiter;
  grpc::GenericStub(DialTcp(address))
      .UnaryCall(context.get(), "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request,
                 &response, [&](grpc::Status status) { waiter.Set(status); });

  PALATE_RETURN_IF_ERROR(waiter.Wait());

  grpc::Slice whole;
  const bool serving = response.DumpToSingleSlice(&whole).ok() &&
                       std::string(whole.begin(), whole.end()) == "\x08\x01";
  return serving ? absl::OkStatus() : absl::UnavailableError("not serving");
}

// Runs a command with --json and parses its output as a message.
template <typename Response>
Response RunJson(std::vector<std::string> arguments) {
  arguments.push_back("--json");
  const Outcome outcome = RunToEnd("palate", arguments);
  EXPECT_EQ(outcome.exit, 0) << outcome.errors;
  Response response;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(outcome.output, &response).ok())
      << outcome.output;
  return response;
}

void CheckCommands(Palate& palate, const std::string& folder) {
  const std::string server = "--server=" + palate.address("gateway");
  const auto recommended = RunJson<shop_pb::RecommendResponse>(
      {"recommend", server, "--user", "u1", "--num-results", "3", "--explain", "template"});
  ASSERT_EQ(recommended.results_size(), 3);
  EXPECT_FALSE(recommended.results(0).explanation().text().empty());

  const auto found = RunJson<shop_pb::SearchResponse>(
      {"search", server, "--text", "red oak chair", "--num-results", "3"});
  ASSERT_EQ(found.results_size(), 3);
  EXPECT_EQ(found.results(0).item_id(), "chairs-0");

  const auto similar = RunJson<shop_pb::SimilarItemsResponse>(
      {"similar", server, "--item", "tents-1", "--num-results", "3"});
  ASSERT_EQ(similar.results_size(), 3);
  EXPECT_THAT(similar.results(0).item_id(), StartsWith("tents"));

  const Outcome wrong =
      RunToEnd("palate", {"recommend", server, "--user", "u1", "--num-results", "900"});
  EXPECT_NE(wrong.exit, 0);
  EXPECT_THAT(wrong.errors, HasSubstr("900"));
  const Outcome locked = RunToEnd("palate", {"status", "--data-dir", folder});
  EXPECT_EQ(locked.exit, 1);
  EXPECT_THAT(locked.errors, HasSubstr(absl::StrCat(palate.process("featurestore").pid())));
}

TEST(FiveProcessesTest, ImportThroughTheGatewayExitsWithZeroThoughItCannotWait) {
  TempFolder folder;
  Palate palate(folder.path());
  if (HasFatalFailure()) return;
  const Outcome import =
      RunToEnd("palate", {"import", "items", folder.Write("items.jsonl", "{\"id\": \"a\"}\n"),
                          "--server", palate.address("gateway")});
  EXPECT_EQ(import.exit, 0) << import.errors;
  const std::string said = import.output + import.errors;
  EXPECT_THAT(said, HasSubstr("1 written"));
  EXPECT_THAT(said, HasSubstr("does not say when items are searchable"));
}

TEST(FiveProcessesTest, WriteRecommendSearchAndEndInOrder) {
  TempFolder folder;
  Palate palate(folder.path());
  if (HasFatalFailure()) return;
  for (const char* part : {"embedding", "ranking", "featurestore", "retrieval", "gateway"}) {
    EXPECT_TRUE(CheckHealth(palate.address(part)).ok()) << part;
  }
  Shop shop(palate.gateway());
  ASSERT_TRUE(shop.Fill().ok());

  // Everything written is embedded and searchable without a rebuild.
  ASSERT_TRUE(Eventually([&] {
    const auto found = shop.Search("a tent for the mountains", absl::Seconds(10));
    return found.ok() && found->results_size() == 5 &&
           found->results(4).item_id().find("tents") == 0;
  }));

  const auto recommended =
      shop.Recommend("u1", absl::Seconds(20), types::v1::EXPLAIN_MODE_TEMPLATE);

  ASSERT_TRUE(recommended.ok()) << recommended.status();
  EXPECT_FALSE(recommended->recommendation_id().empty());
  ASSERT_EQ(recommended->results_size(), 5);
  EXPECT_THAT(recommended->results(0).item_id(), StartsWith("lamps"));  // u1 looked at lamps
  EXPECT_EQ(recommended->results(0).reasons(0).source(), shop_pb::CANDIDATE_SOURCE_CONTENT);
  for (const shop_pb::RankedItem& result : recommended->results()) {
    EXPECT_FALSE(result.explanation().text().empty());
    EXPECT_FALSE(result.explanation().evidence().empty());
    for (int seen = 0; seen < 4; ++seen) EXPECT_NE(result.item_id(), absl::StrCat("lamps-", seen));
  }
  EXPECT_EQ(recommended->stages_size(), 7);  // all but the recording, which follows the answer

  const auto filtered = shop.Recommend("u1", absl::Seconds(20), types::v1::EXPLAIN_MODE_NONE,
                                       "kind = \"chairs\" AND price <= 30");
  ASSERT_TRUE(filtered.ok()) << filtered.status();
  ASSERT_GT(filtered->results_size(), 0);
  for (const shop_pb::RankedItem& result : filtered->results()) {
    EXPECT_THAT(result.item_id(), StartsWith("chairs"));
    EXPECT_LE(result.item().attributes().at("price").double_value(), 30);
  }

  CheckCommands(palate, folder.path());

  for (const char* part : {"gateway", "retrieval", "featurestore", "ranking", "embedding"}) {
    palate.process(part).Signal(SIGTERM);
    EXPECT_EQ(palate.process(part).Wait(), 0) << part;
  }
}

TEST(BinariesTest, UnknownConfigurationKeyFailsWithFileAndLine) {
  TempFolder folder;
  const std::string file = folder.path() + "/gateway.yaml";
  std::ofstream(file) << "gateway:\n  threads: 4\n  thread: 5\n";
  const Outcome outcome = RunToEnd("palate-gateway", {"--config=" + file});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.errors, HasSubstr(file + ":3: gateway.thread: unknown key"));
}

TEST(BinariesTest, UnknownFlagFails) {
  const Outcome outcome = RunToEnd("palate-retrieval", {"--retrieval.thread=1"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.errors, HasSubstr("--retrieval.thread: unknown flag"));
}

TEST(BinariesTest, HelpExitsZero) {
  for (const char* program : {"palate-gateway", "palate-embedding", "palate-retrieval",
                              "palate-ranking", "palate-featurestore", "palate"}) {
    const Outcome outcome = RunToEnd(program, {"--help"});
    EXPECT_EQ(outcome.exit, 0) << program;
    EXPECT_THAT(outcome.output, HasSubstr(program));
  }
}

TEST(BinariesTest, VersionIsPrintedByEveryProgram) {
  for (const char* program :
       {"palate-gateway", "palate-embedding", "palate-retrieval", "palate-ranking",
        "palate-featurestore", "palate", "palate-train", "palate-golden-check"}) {
    const Outcome outcome = RunToEnd(program, {"--version"});
    EXPECT_EQ(outcome.exit, 0) << program;
    EXPECT_EQ(outcome.output, absl::StrCat(program, " ", Version(), "\n"));
  }
}

TEST(BinariesTest, DashesAndUnderscoresInFlagsMeanTheSame) {
  for (const char* flag : {"--retrieval.snapshot-dir=a_b-c", "--retrieval.snapshot_dir=a_b-c"}) {
    const Outcome outcome = RunToEnd("palate-retrieval", {flag, "--help"});
    EXPECT_EQ(outcome.exit, 0) << flag;
    EXPECT_THAT(outcome.output, HasSubstr("--retrieval.snapshot-dir=a_b-c\n")) << flag;
  }

  for (const char* flag : {"--data-dir", "--data_dir"}) {
    const Outcome serve = RunToEnd("palate", {"serve", flag, "a_b", "--help"});
    EXPECT_THAT(serve.output, HasSubstr("--data-dir=a_b\n")) << flag;
    // A file where the folder should be: both spellings are understood, and the value is.
    const Outcome status = RunToEnd("palate", {"status", flag, "/proc/version"});
    EXPECT_EQ(status.exit, 1) << flag;
    EXPECT_THAT(status.errors, HasSubstr("/proc/version")) << flag;
  }

  for (const char* flag : {"--rerank-weight", "--rerank_weight"}) {
    const Outcome train = RunToEnd("palate-train", {"evaluate", flag, "2"});
    EXPECT_EQ(train.exit, 2) << flag;
    EXPECT_THAT(train.errors, HasSubstr("--rerank-weight is 2; must be a number from 0 to 1"))
        << flag;
  }
}

// Each file of deploy/config has every key of its binary with a valid value, and no other key.
TEST(BinariesTest, CommentedConfigurationFilesNameEveryKey) {
  const std::string folder = std::string(PALATE_SOURCE_DIR) + "/deploy/config/";
  const std::map<std::string, std::vector<std::string>> programs = {
      {"gateway", {"palate-gateway"}},           {"embedding", {"palate-embedding"}},
      {"retrieval", {"palate-retrieval"}},       {"ranking", {"palate-ranking"}},
      {"featurestore", {"palate-featurestore"}}, {"palate", {"palate", "serve"}}};

  for (const auto& [name, command] : programs) {
    std::vector<std::string> arguments(command.begin() + 1, command.end());
    arguments.push_back("--config=" + folder + name + ".yaml");
    arguments.push_back("--help");
    const Outcome outcome = RunToEnd(command[0], arguments);
    EXPECT_EQ(outcome.exit, 0) << outcome.errors;

    const std::string text = ReadFile(folder + name + ".yaml");
    std::istringstream lines(outcome.output);

    for (std::string line; std::getline(lines, line);) {
      if (line.rfind("  --", 0) != 0 || line.find('=') == std::string::npos ||
          line.find("--config=") != std::string::npos)
        continue;
      std::string key = line.substr(4, line.find('=') - 4);
      std::replace(key.begin(), key.end(), '-', '_');
      EXPECT_THAT(text, HasSubstr(key.substr(key.rfind('.') + 1) + ":"))
          << name << ".yaml lacks " << key;
    }
  }
}

// Runs `palate` over the data in `folder`.
Outcome RunOver(const TempFolder& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--data-dir", folder.path() + "/data"});
  return RunToEnd("palate", arguments);
}

TEST(CommandLineTest, ImportExitsWithThreeAndCreatesNothingWhenNoLineIsUnderstood) {
  const TempFolder folder;
  for (const std::string& path : {folder.Write("array.json", "[\n{\"id\": \"a\"}\n]"),
                                  folder.Write("broken.jsonl", "{\"id\": NaN}\n")}) {
    const Outcome refused = RunOver(folder, {"import", "items", path, "--catalog", "shop"});
    EXPECT_EQ(refused.exit, 3) << refused.errors;
    EXPECT_THAT(refused.errors, HasSubstr(path + " line 1, column "));
  }
  EXPECT_THAT(RunOver(folder, {"catalog", "list"}).output, ::testing::IsEmpty());
}

TEST(CommandLineTest, ImportNamesLineAndColumnOfWhatTheServerRefusesAndTakesTheRest) {
  const TempFolder folder;
  const std::string path = folder.Write("items.jsonl",
                                        "{\"id\": \"a\", \"attributes\": {\"price\": 5}}\n{\"id\": "
                                        "\"b\", \"attributes\": {\"price\": 5}, "
                                        "\"title\": \"" +
                                            std::string(2000, 'x') + "\"}\n");
  const Outcome import =
      RunOver(folder, {"import", "items", path, "--catalog", "shop", "--no-wait"});
  EXPECT_EQ(import.exit, 3);
  const std::string all = import.output + import.errors;
  EXPECT_THAT(all, HasSubstr("attribute price: double"));
  EXPECT_THAT(all,
              HasSubstr("refused: " + path + " line 2, column 41: a part of item \"b\": title "));

  const Outcome stopped = RunOver(
      folder, {"import", "items", path, "--catalog", "shop", "--no-wait", "--max-failures", "0"});
  EXPECT_EQ(stopped.exit, 3);
  EXPECT_THAT(stopped.errors, HasSubstr("stopped: 1 lines"));
}

TEST(CommandLineTest, StatusNamesWhatIsAssumedAboutAModel) {
  const std::filesystem::path text = BuiltinModel("dual_encoder") + "/text";
  if (!std::filesystem::exists(text / "config.json")) GTEST_SKIP() << text << " is absent";
  const TempFolder folder;
  std::filesystem::create_directories(folder.file("model"));
  for (const auto& entry : std::filesystem::directory_iterator(text)) {
    const std::string name = entry.path().filename();
    if (name != "modules.json")
      std::filesystem::create_symlink(entry, folder.file("model/") + name);
  }

  Process server(
      "palate",
      {"serve", "--data-dir=" + folder.file("data"), "--server.listen=127.0.0.1:0",
       "--embedding.models=plain=" + folder.file("model"), "--embedding.default-model=plain"},
      folder.file("log"));
  const std::string serves = "serves on port ";
  ASSERT_TRUE(Eventually([&] { return absl::StrContains(ReadFile(folder.file("log")), serves); }));
  const std::string log = ReadFile(folder.file("log"));
  const int port = std::atoi(log.c_str() + log.find(serves) + serves.size());

  const Outcome status = RunToEnd("palate", {"status", absl::StrCat("--server=127.0.0.1:", port)});
  EXPECT_EQ(status.exit, 0) << status.errors;
  EXPECT_THAT(status.output, HasSubstr("embedding model plain: no file states how tokens are "
                                       "pooled; mean is assumed"));
  EXPECT_THAT(log, HasSubstr("has no modules.json"));
}

TEST(CommandLineTest, CatalogAddsAttributesAltersAndDeletes) {
  const TempFolder folder;
  const std::string path = folder.Write("items.jsonl", "{\"id\": \"a\"}\n");
  ASSERT_EQ(RunOver(folder, {"import", "items", path, "--catalog", "shop", "--no-wait"}).exit, 0);
  const std::string more =
      folder.Write("more.jsonl", R"({"id": "b", "attributes": {"color": "red"}})");
  const Outcome missing =
      RunOver(folder, {"import", "items", more, "--catalog", "shop", "--no-wait"});
  EXPECT_EQ(missing.exit, 1);
  EXPECT_THAT(missing.errors, HasSubstr("palate catalog add-attribute"));

  EXPECT_EQ(RunOver(folder, {"catalog", "add-attribute", "shop", "color", "colour"}).exit, 2);
  const Outcome added = RunOver(folder, {"catalog", "add-attribute", "shop", "color", "string"});
  EXPECT_EQ(added.exit, 0) << added.errors;
  EXPECT_THAT(added.output, HasSubstr("attribute color: string"));
  EXPECT_EQ(RunOver(folder, {"import", "items", more, "--catalog", "shop", "--no-wait"}).exit, 0);

  EXPECT_THAT(RunOver(folder, {"catalog", "set", "shop", "--rerank-weight", "0.25"}).output,
              HasSubstr("rerank weight 0.25"));
  EXPECT_THAT(RunOver(folder, {"catalog", "show", "shop"}).output, HasSubstr("attribute color"));
  EXPECT_EQ(RunOver(folder, {"catalog", "set", "shop"}).exit, 2);
  EXPECT_EQ(RunOver(folder, {"catalog", "delete", "shop"}).exit, 2);
  EXPECT_EQ(RunOver(folder, {"catalog", "delete", "shop", "--yes"}).exit, 0);
  EXPECT_EQ(RunOver(folder, {"catalog", "show", "shop"}).exit, 1);
}

}  // namespace
}  // namespace palate::services
