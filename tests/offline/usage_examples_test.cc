// The usage examples in the headers of offline/ that need no LibTorch, compiled and run.
#include "tests/usage_examples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "offline/console.h"
#include "offline/evaluation/metrics.h"
#include "offline/import/importer.h"
#include "offline/import/jsonl_reader.h"
#include "tests/fakes/fake_offline_client.h"
#include "tests/temp_folder.h"

namespace palate {
namespace {

using ::testing::EndsWith;
using ::testing::SizeIs;

void ExpectExampleOf(const std::string& header) {
  ExpectTestHasExampleOf(header, "tests/offline/usage_examples_test.cc");
}

}  // namespace

namespace offline {
namespace {

TEST(UsageExampleTest, Console) {
  ExpectExampleOf("offline/console.h");
  std::string text;
  ConsoleOptions options;
  options.write = [&](absl::string_view written) { absl::StrAppend(&text, written); };
  const int64_t total = 3;

  ConsoleReporter reporter(options);
  const auto on_progress = reporter.Step("items");
  for (int64_t done = 1; done <= total; ++done) on_progress(done, total);
  reporter.Say("all items are sent");

  EXPECT_THAT(text, EndsWith("all items are sent\n"));
}

absl::Status UseJsonlReader(const std::string& path, const std::string& images_folder,
                            std::unique_ptr<ItemReader>& items, SourceReport& read) {
  PALATE_ASSIGN_OR_RETURN(auto attributes, InferAttributes(path));
  const Catalog wanted = DefaultCatalog("shop", std::move(attributes));
  SourceReport report;
  PALATE_ASSIGN_OR_RETURN(const auto reader, OpenItemFile(path, images_folder, report));

  EXPECT_THAT(wanted.attributes, SizeIs(1));
  PALATE_ASSIGN_OR_RETURN(const std::optional<ItemUpload> upload, reader->Next());
  EXPECT_TRUE(upload.has_value() && upload->item.id == "lamp");

  PALATE_ASSIGN_OR_RETURN(items, OpenItemFile(path, images_folder, read));
  return absl::OkStatus();
}

absl::Status UseImporter(Client& client, const Catalog& wanted, const std::string& checkpoint,
                         const std::unique_ptr<ItemReader>& reader) {
  const auto on_progress = [](int64_t, int64_t) {};
  ImportOptions options;
  options.catalog = wanted.id;
  options.checkpoint_path = checkpoint;
  Importer importer(client, options);
  PALATE_ASSIGN_OR_RETURN(const Catalog catalog, importer.EnsureCatalog(wanted));
  ImportOutcome outcome;
  PALATE_RETURN_IF_ERROR(importer.SendItems(*reader, catalog, outcome, on_progress));
  PALATE_RETURN_IF_ERROR(importer.WaitUntilSearchable(absl::Minutes(2), on_progress));
  PALATE_RETURN_IF_ERROR(importer.AddFailedEmbeddings(outcome));
  importer.Finish();

  EXPECT_EQ(outcome.items.changed, 1);
  return absl::OkStatus();
}

TEST(UsageExampleTest, JsonlReaderAndImporter) {
  ExpectExampleOf("offline/import/jsonl_reader.h");
  ExpectExampleOf("offline/import/importer.h");
  const TempFolder folder;
  const std::string path =
      folder.Write("items.jsonl", R"({"id": "lamp", "attributes": {"price": 49.5}})");
  std::unique_ptr<ItemReader> items;
  SourceReport read;
  absl::Status status = UseJsonlReader(path, folder.path(), items, read);
  ASSERT_TRUE(status.ok()) << status;

  FakeClient client;
  Catalog wanted;
  wanted.id = "shop";
  status = UseImporter(client, wanted, folder.path() + "/checkpoint", items);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(client.items, SizeIs(1));
}

}  // namespace
}  // namespace offline

namespace evaluation {
namespace {

TEST(UsageExampleTest, Metrics) {
  ExpectExampleOf("offline/evaluation/metrics.h");

  const Relevance relevance = {{"lamp", 3}, {"chair", 1}};
  const std::vector<std::string> ranking = {"lamp", "table", "chair"};
  const double ndcg = NdcgAt(10, ranking, relevance);
  const double recall = RecallAt(2, ranking, relevance);

  EXPECT_GT(ndcg, 0.9);
  EXPECT_DOUBLE_EQ(recall, 0.5);
}

}  // namespace
}  // namespace evaluation
}  // namespace palate
