// Items with bad parts, imported from a file into all services in one process: a bad part costs
// that part, the rest is embedded and found, and part and reason are named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/grpc_offline_client.h"
#include "models/image/image.h"
#include "offline/import/importer.h"
#include "offline/import/jsonl_reader.h"
#include "palate/featurestore/v1/feature_store_service.grpc.pb.h"
#include "services/local/local_stack.h"
#include "tests/eventually.h"
#include "tests/services/local/stack_config.h"
#include "tests/services/shop.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

namespace store_pb = palate::featurestore::v1;
using ::testing::HasSubstr;

std::string Picture(uint8_t seed, int64_t size = 32) {
  models::Image image{.width = size, .height = size};
  image.rgb.resize(static_cast<size_t>(3 * size * size));
  for (size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<uint8_t>(i * seed);
  return *models::EncodePng(image);
}

// A whole file by its header, which declares such a size.
std::string Declaring(const std::string& width, const std::string& height) {
  return Picture(3).replace(16, 4, width).replace(20, 4, height);
}

std::string Damaged() {
  std::string png = Picture(3);
  for (size_t at = png.size() / 2; at < png.size() / 2 + 20; ++at) png[at] = '\0';
  return png;
}

// An extended WebP that says that it is animated, and has no frame.
std::string AnimatedWebp() {
  std::string chunk("VP8X\x0a\x00\x00\x00\x02\x00\x00\x00\x0f\x00\x00\x0f\x00\x00", 18);
  chunk += std::string("ANIM\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00", 14);
  std::string webp("RIFF\x24\x00\x00\x00WEBP", 12);
  return webp + chunk;
}

std::string Quoted(const std::string& text) { return absl::StrCat("\"", text, "\""); }

// What is wrong with an item beside its words and its good picture.
struct BadPart {
  std::string what;
  std::string part;                    // that is named
  std::string reason;                  // a piece of the message
  std::optional<std::string> picture;  // the file's bytes, if there is such a file
  std::string keys = {};               // more keys of the line
};

std::vector<BadPart> BadParts() {
  std::string list;
  for (int i = 0; i < 256; ++i)
    absl::StrAppend(&list, i == 0 ? "" : ",", Quoted(absl::StrCat(i, std::string(1500, 'z'))));
  return {
      {"gif", "images[0]", "neither JPEG, PNG nor WebP", "GIF89a\x01"},
      {"svg", "images[0]", "neither JPEG", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"},
      {"html", "images[0]", "neither JPEG", "<html><body>404 Not Found</body></html>"},
      {"nothing", "images[0]", "is empty", ""},
      {"zeros", "images[0]", "neither JPEG", std::string(4096, '\0')},
      {"cut", "images[0]", "truncated", Picture(5).substr(0, Picture(5).size() / 2)},
      {"jpegstart", "images[0]", "truncated", "\xff\xd8\xff\xe0"},
      {"damaged", "images[0]", "corrupt", Damaged()},
      {"animated", "images[0]", "WebP", AnimatedWebp()},
      {"fiftymegapixels", "images[0]", "10000 x 5000",
       Declaring(std::string("\0\0\x27\x10", 4), std::string("\0\0\x13\x88", 4))},
      {"seventeenmebibytes", "images", "16777216", std::string(17 << 20, 'x')},
      {"missing", "images", "cannot read", std::nullopt},
      {"description", "description", "1048576 bytes", Picture(1),
       absl::StrCat(R"(,"description":")", std::string(1 << 20, 'd'), "\"")},
      {"longlist", "attributes", "makes a text of", Picture(1),
       absl::StrCat(R"(,"attributes":{"tags":[)", list, "]}")},
  };
}

class BadPartsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto stack = LocalStack::Start(WithoutRanking(folder_.file("data")));
    ASSERT_TRUE(stack.ok()) << stack.status();
    stack_ = *std::move(stack);
    store_ = store_pb::FeatureStoreService::NewStub(stack_->channel());
  }

  // Imports the lines and waits until they are searchable.
  offline::ImportOutcome Import(const std::string& lines) {
    GrpcOfflineClient client([channel = stack_->channel()] { return channel; });
    const std::string path = folder_.Write("items.jsonl", lines);
    offline::ImportOptions options;
    options.catalog = "shop";
    offline::Importer importer(client, options);
    offline::ImportOutcome outcome;
    const auto ignore = [](int64_t, int64_t) {};

    Catalog wanted = offline::DefaultCatalog("shop", {{"tags", AttributeType::kStringList, true}});
    const auto catalog = importer.EnsureCatalog(wanted);
    EXPECT_TRUE(catalog.ok()) << catalog.status();
    const auto reader = offline::OpenItemFile(path, folder_.path(), report_);
    EXPECT_TRUE(reader.ok()) << reader.status();
    if (!catalog.ok() || !reader.ok()) return outcome;
    EXPECT_EQ(importer.SendItems(**reader, *catalog, outcome, ignore), absl::OkStatus());
    EXPECT_EQ(importer.WaitUntilSearchable(absl::Minutes(2), ignore), absl::OkStatus());
    EXPECT_EQ(importer.AddFailedEmbeddings(outcome), absl::OkStatus());
    return outcome;
  }

  types_pb::ItemRecord Read(const std::string& id) {
    store_pb::GetItemsRequest request;
    request.set_catalog("shop");
    request.add_item_ids(id);
    request.mutable_view()->set_all_spaces(true);
    store_pb::GetItemsResponse response;
    EXPECT_TRUE(CallUnary(store_->async(),
                          &store_pb::FeatureStoreService::StubInterface::async_interface::GetItems,
                          request, response, {.deadline = absl::Now() + absl::Minutes(1)})
                    .ok());
    return response.items_size() == 1 ? response.items(0) : types_pb::ItemRecord();
  }

  // Ids of what is found: only items that have vectors are.
  std::vector<std::string> Search(const std::string& text) {
    const auto recommender = shop_pb::RecommenderService::NewStub(stack_->channel());
    shop_pb::SearchRequest request;
    request.set_catalog("shop");
    request.mutable_query()->set_text(text);
    request.set_num_results(50);
    shop_pb::SearchResponse response;
    EXPECT_TRUE(CallUnary(recommender->async(),
                          &shop_pb::RecommenderService::StubInterface::async_interface::Search,
                          request, response, {.deadline = absl::Now() + absl::Minutes(1)})
                    .ok());
    std::vector<std::string> ids;
    for (const auto& result : response.results()) ids.push_back(result.item_id());
    return ids;
  }

  static std::set<std::string> SpacesOf(const types_pb::ItemRecord& record) {
    std::set<std::string> spaces;
    for (const types_pb::Vector& vector : record.vectors()) spaces.insert(vector.space().name());
    return spaces;
  }

  TempFolder folder_;
  std::unique_ptr<LocalStack> stack_;
  std::unique_ptr<store_pb::FeatureStoreService::Stub> store_;
  offline::SourceReport report_;
};

TEST_F(BadPartsTest, ABadPartOfAnItemCostsThatPartAndIsNamedWithFileAndLine) {
  folder_.Write("good.png", Picture(7));
  folder_.Write("dot.png", Picture(9, 1));
  std::filesystem::create_directory(folder_.file("folder.png"));
  std::string lines = R"({"id":"dot","title":"dot lamp","images":["dot.png","good.png"]})"
                      "\n"
                      R"({"id":"folder","title":"folder lamp","images":["folder.png","good.png"]})"
                      "\n";
  const std::vector<BadPart> bad_parts = BadParts();
  for (const BadPart& bad : bad_parts) {
    if (bad.picture.has_value()) folder_.Write(bad.what + ".png", *bad.picture);
    absl::StrAppend(&lines, R"({"id":")", bad.what, R"(","title":")", bad.what,
                    R"( lamp","images":[")", bad.what, R"(.png","good.png"])", bad.keys, "}\n");
  }
  const offline::ImportOutcome outcome = Import(lines);

  EXPECT_EQ(outcome.refused_elements(), 0) << "no item is lost";
  std::string said;
  for (const std::string& refused : outcome.refused) absl::StrAppend(&said, refused, "\n");
  for (const offline::Malformed& malformed : report_.malformed)
    absl::StrAppend(&said, offline::Describe(malformed), "\n");
  EXPECT_EQ(outcome.refused_count() + report_.malformed_count,
            static_cast<int64_t>(bad_parts.size()) + 1)
      << said;

  int64_t line = 2;
  for (const BadPart& bad : bad_parts) {
    EXPECT_THAT(said, HasSubstr(absl::StrCat("items.jsonl line ", ++line))) << bad.what;
    EXPECT_THAT(said, HasSubstr(bad.reason)) << bad.what;
    EXPECT_EQ(SpacesOf(Read(bad.what)), (std::set<std::string>{"fused", "image", "text"}))
        << bad.what;
    EXPECT_THAT(Search(bad.what + " lamp"), ::testing::Contains(bad.what));
  }
  EXPECT_EQ(SpacesOf(Read("dot")).size(), 3u);
  EXPECT_EQ(Read("dot").failed_parts_size(), 0) << "one pixel is a picture";
}

TEST_F(BadPartsTest, AnItemsStateNamesPartAndReasonAndStatisticsCountIt) {
  folder_.Write("good.png", Picture(7));
  folder_.Write("damaged.png", Damaged());
  folder_.Write("gif.png", "GIF89a");
  Import(R"({"id":"a","title":"a lamp","images":["gif.png","good.png","damaged.png"]})"
         "\n"
         R"({"id":"b","images":["damaged.png"]})"
         "\n"
         R"({"id":"c","title":"a table","images":["good.png"]})"
         "\n");
  const types_pb::ItemRecord record = Read("a");
  ASSERT_EQ(record.failed_parts_size(), 2);
  EXPECT_EQ(record.failed_parts(0).part(), "images[0]");
  EXPECT_THAT(record.failed_parts(0).status().message(), HasSubstr("neither JPEG, PNG nor WebP"));
  EXPECT_EQ(record.failed_parts(1).part(), "images[2]");
  EXPECT_THAT(record.failed_parts(1).status().message(), HasSubstr("corrupt"));
  ASSERT_EQ(Read("b").failed_parts_size(), 1) << "nothing is left of it";
  EXPECT_THAT(Read("b").failed_parts(0).status().message(), HasSubstr("images[0]"));
  EXPECT_EQ(Read("c").failed_parts_size(), 0);

  store_pb::GetStatsResponse stats;
  ASSERT_TRUE(CallUnary(store_->async(),
                        &store_pb::FeatureStoreService::StubInterface::async_interface::GetStats,
                        store_pb::GetStatsRequest(), stats,
                        {.deadline = absl::Now() + absl::Minutes(1)})
                  .ok());
  ASSERT_EQ(stats.catalogs_size(), 1);
  EXPECT_EQ(stats.catalogs(0).embedding_failed(), 1);
  EXPECT_EQ(stats.catalogs(0).items_with_failed_parts(), 1);
}

}  // namespace
}  // namespace palate::services
