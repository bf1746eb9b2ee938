// A catalog of photographs without a word, searched by words and by pictures, with all services and
// the built-in model. Skipped without the data.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "cli/grpc_offline_client.h"
#include "offline/import/importer.h"
#include "offline/import/jsonl_reader.h"
#include "services/local/local_stack.h"
#include "services/runtime/client_call.h"
#include "tests/services/local/stack_config.h"
#include "tests/services/shop.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

using RecommenderStub = shop_pb::RecommenderService::StubInterface::async_interface;

constexpr char kPhotographs[] = "photographs";
constexpr size_t kPerKind = 12;
const char* const kKinds[] = {"dress", "hat", "pants", "shoes", "shorts", "t-shirt"};

// Photographs that the built-in model was not trained on.
std::string PhotographFolder() {
  const char* shared = std::getenv("PALATE_SHARED_DIR");
  return absl::StrCat(shared != nullptr ? shared : PALATE_SOURCE_DIR "/../shared",
                      "/data/clothing/validation");
}

// One line for each of the first photographs of every kind: an id and a picture, nothing else.
std::string PhotographLines() {
  std::string lines;
  for (const char* kind : kKinds) {
    std::set<std::string> files;
    for (const auto& entry :
         std::filesystem::directory_iterator(absl::StrCat(PhotographFolder(), "/", kind)))
      files.insert(entry.path().filename().string());
    size_t count = 0;
    for (const std::string& file : files) {
      if (count == kPerKind) break;
      absl::StrAppend(&lines, R"({"id":")", kind, "/", count++, R"(","images":[")", kind, "/", file,
                      "\"]}\n");
    }
  }
  return lines;
}

std::string KindOfItem(const std::string& item_id) {
  return std::vector<std::string>(absl::StrSplit(item_id, '/'))[0];
}

class PhotographSearchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(PhotographFolder()))
      GTEST_SKIP() << "no data in " << PhotographFolder();
    auto stack = LocalStack::Start(WithoutRanking(folder_.file("data")));
    ASSERT_TRUE(stack.ok()) << stack.status();
    stack_ = *std::move(stack);
    const absl::Status imported = Import();
    ASSERT_TRUE(imported.ok()) << imported;
  }

  absl::Status Import() {
    GrpcOfflineClient client([channel = stack_->channel()] { return channel; });
    const std::string path = folder_.Write("items.jsonl", PhotographLines());
    offline::ImportOptions options;
    options.catalog = kPhotographs;
    offline::Importer importer(client, options);
    PALATE_ASSIGN_OR_RETURN(const Catalog catalog,
                            importer.EnsureCatalog(offline::DefaultCatalog(kPhotographs, {})));
    offline::SourceReport report;
    PALATE_ASSIGN_OR_RETURN(const auto items,
                            offline::OpenItemFile(path, PhotographFolder(), report));
    offline::ImportOutcome outcome;
    const auto silent = [](int64_t, int64_t) {};
    PALATE_RETURN_IF_ERROR(importer.SendItems(*items, catalog, outcome, silent));
    return importer.WaitUntilSearchable(absl::Minutes(2), silent);
  }

  shop_pb::SearchResponse Search(const std::string& words) {
    shop_pb::SearchRequest request;
    request.set_catalog(kPhotographs);
    request.mutable_query()->set_text(words);
    request.set_num_results(10);
    shop_pb::SearchResponse response;
    shop_pb::RecommenderService::Stub stub(stack_->channel());
    const absl::Status status = CallUnary(stub.async(), &RecommenderStub::Search, request, response,
                                          {.deadline = absl::Now() + absl::Seconds(60)});
    EXPECT_TRUE(status.ok()) << status;
    return response;
  }

  TempFolder folder_;
  std::unique_ptr<LocalStack> stack_;
};

TEST_F(PhotographSearchTest, ImportKnowsThatAllAreSearchableThoughNoneHasAText) {
  GrpcOfflineClient client([channel = stack_->channel()] { return channel; });
  const auto progress = client.GetProgress(kPhotographs, absl::Seconds(30));
  ASSERT_TRUE(progress.ok()) << progress.status();
  EXPECT_EQ(progress->pending_embeddings, 0);
  EXPECT_TRUE(progress->index_current) << "else an import waits until nothing changes any more";
}

TEST_F(PhotographSearchTest, WordsFindThePhotographsThatShowThem) {
  int right = 0;
  for (const std::string kind : kKinds) {
    const shop_pb::SearchResponse response = Search(kind);
    ASSERT_EQ(response.results_size(), 10) << kind;
    for (const auto& stage : response.stages())
      EXPECT_EQ(stage.notes_size(), 0) << stage.ShortDebugString();
    int of_kind = 0;
    for (const auto& result : response.results()) of_kind += KindOfItem(result.item_id()) == kind;
    EXPECT_GE(of_kind, 7) << kind;
    right += of_kind;
  }
  EXPECT_GE(right, 54) << "of 60 results";
}

}  // namespace
}  // namespace palate::services
