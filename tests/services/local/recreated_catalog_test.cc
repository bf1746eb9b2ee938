// A catalog that is deleted and created again with the same id, over TCP: once DeleteCatalog has
// returned, no response may have data of the deleted catalog.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "services/convert/types_convert.h"
#include "services/local/local_stack.h"
#include "services/runtime/channel.h"
#include "tests/eventually.h"
#include "tests/services/local/stack_config.h"
#include "tests/services/shop.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

using RecommenderStub = shop_pb::RecommenderService::StubInterface::async_interface;
using CatalogStub = shop_catalog_pb::CatalogService::StubInterface::async_interface;

constexpr absl::Duration kCall = absl::Seconds(30);
// More than a source requests from the index, so that leftovers of the deleted catalog would
// displace the items of the new one.
constexpr int kOldItems = 120;
constexpr int kNewItems = 3;
constexpr char kUser[] = "u";

struct Scenario {
  const char* name;
  bool same_create_time;  // the new declaration repeats the old create_time
  bool same_ids;          // the new items have ids of old ones
};

class RecreatedCatalogTest : public ::testing::TestWithParam<Scenario> {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder();
    StackConfig config = WithoutRanking(folder_->path());  // the order does not matter here
    config.server.listen = "127.0.0.1:0";

    auto stack = LocalStack::Start(config);
    ASSERT_TRUE(stack.ok()) << stack.status();
    stack_ = stack->release();
    shop_ = new Shop(DialTcp(absl::StrCat("127.0.0.1:", stack_->port())));
  }
  static void TearDownTestSuite() {
    delete shop_;
    delete stack_;
    delete folder_;
  }

  std::string catalog() const { return GetParam().name; }
  static std::string OldId(int i) { return absl::StrCat("item-", i); }
  static std::string NewId(int i) {
    return GetParam().same_ids ? OldId(i) : absl::StrCat("new-", i);
  }

  absl::StatusOr<types_pb::Catalog> Create(
      const std::optional<google::protobuf::Timestamp>& create_time) const {
    shop_catalog_pb::CreateCatalogRequest request;
    request.mutable_catalog()->set_id(catalog());
    request.mutable_catalog()->add_event_types()->set_name("view");
    if (create_time.has_value()) *request.mutable_catalog()->mutable_create_time() = *create_time;
    shop_catalog_pb::CreateCatalogResponse response;
    PALATE_RETURN_IF_ERROR(CallUnary(shop_->catalogs().async(), &CatalogStub::CreateCatalog,
                                     request, response, {.deadline = absl::Now() + kCall}));
    return response.catalog();
  }

  absl::Status Delete() const {
    shop_catalog_pb::DeleteCatalogRequest request;
    request.set_catalog(catalog());
    shop_catalog_pb::DeleteCatalogResponse response;
    return CallUnary(shop_->catalogs().async(), &CatalogStub::DeleteCatalog, request, response,
                     {.deadline = absl::Now() + kCall});
  }

  absl::Status WriteItems(int count, const std::function<std::string(int)>& id,
                          const std::string& title) const {
    shop_pb::UpsertItemsRequest request;
    request.set_catalog(catalog());
    for (int i = 0; i < count; ++i) {
      types_pb::Item* item = request.add_writes()->mutable_item();
      item->set_id(id(i));
      item->set_title(absl::StrCat(title, " ", i));
    }
    shop_pb::UpsertItemsResponse response;
    return CallUnary(shop_->recommender().async(), &RecommenderStub::UpsertItems, request, response,
                     {.deadline = absl::Now() + kCall});
  }

  absl::Status View(const std::string& item) const {
    shop_pb::WriteEventsRequest request;
    request.set_catalog(catalog());
    types_pb::Event* event = request.add_events();
    event->set_user_id(kUser);
    event->set_item_id(item);
    event->set_event_type("view");
    *event->mutable_event_time() = ToProto(absl::Now());
    shop_pb::WriteEventsResponse response;
    return CallUnary(shop_->recommender().async(), &RecommenderStub::WriteEvents, request, response,
                     {.deadline = absl::Now() + kCall});
  }

  absl::StatusOr<shop_pb::SearchResponse> Search(const std::string& text) const {
    shop_pb::SearchRequest request;
    request.set_catalog(catalog());
    request.mutable_query()->set_text(text);
    request.set_num_results(10);
    shop_pb::SearchResponse response;
    PALATE_RETURN_IF_ERROR(CallUnary(shop_->recommender().async(), &RecommenderStub::Search,
                                     request, response, {.deadline = absl::Now() + kCall}));
    return response;
  }

  absl::StatusOr<shop_pb::SimilarItemsResponse> Similar(const std::string& item) const {
    shop_pb::SimilarItemsRequest request;
    request.set_catalog(catalog());
    request.set_item_id(item);
    request.set_num_results(10);
    shop_pb::SimilarItemsResponse response;
    PALATE_RETURN_IF_ERROR(CallUnary(shop_->recommender().async(), &RecommenderStub::SimilarItems,
                                     request, response, {.deadline = absl::Now() + kCall}));
    return response;
  }

  absl::StatusOr<shop_pb::RecommendResponse> Recommend() const {
    shop_pb::RecommendRequest request;
    request.set_catalog(catalog());
    request.set_user_id(kUser);
    request.set_num_results(10);
    shop_pb::RecommendResponse response;
    PALATE_RETURN_IF_ERROR(CallUnary(shop_->recommender().async(), &RecommenderStub::Recommend,
                                     request, response, {.deadline = absl::Now() + kCall}));
    return response;
  }

  // The number of results, each of which must be a new item; -1 for an error.
  template <typename Response>
  static int CountNew(const absl::StatusOr<Response>& answer) {
    if (!answer.ok()) return -1;
    for (const auto& result : answer->results()) {
      EXPECT_TRUE(absl::StartsWith(result.item().title(), "reading lamp"))
          << result.ShortDebugString();
    }
    return answer->results_size();
  }

  static TempFolder* folder_;
  static LocalStack* stack_;
  static Shop* shop_;
};

TempFolder* RecreatedCatalogTest::folder_ = nullptr;
LocalStack* RecreatedCatalogTest::stack_ = nullptr;
Shop* RecreatedCatalogTest::shop_ = nullptr;

TEST_P(RecreatedCatalogTest, AnswersNothingOfItsPredecessor) {
  const auto before = Create(std::nullopt);
  ASSERT_TRUE(before.ok()) << before.status();
  ASSERT_TRUE(WriteItems(kOldItems, OldId, "mountain tent").ok());
  ASSERT_TRUE(View(OldId(0)).ok());
  ASSERT_TRUE(Eventually(
      [&] { return Search("a tent").value_or(shop_pb::SearchResponse()).results_size() == 10; }));
  ASSERT_TRUE(Eventually([&] {
    return Similar(OldId(1)).value_or(shop_pb::SimilarItemsResponse()).results_size() == 10;
  }));

  ASSERT_TRUE(Delete().ok());
  EXPECT_EQ(Search("a tent").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Similar(OldId(1)).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Recommend().status().code(), absl::StatusCode::kNotFound);

  ASSERT_TRUE(
      Create(GetParam().same_create_time ? std::optional(before->create_time()) : std::nullopt)
          .ok());
  // The index may not know the new catalog yet: then the search is UNAVAILABLE.
  EXPECT_LE(CountNew(Search("a tent")), 0);
  EXPECT_EQ(CountNew(Recommend()), 0);
  EXPECT_EQ(Similar(OldId(1)).status().code(), absl::StatusCode::kNotFound);

  // While the new items are embedded and indexed, and afterwards.
  ASSERT_TRUE(WriteItems(kNewItems, NewId, "reading lamp").ok());
  EXPECT_TRUE(Eventually([&] { return CountNew(Search("a tent")) == kNewItems; }));
  EXPECT_TRUE(Eventually([&] { return CountNew(Similar(NewId(0))) == kNewItems - 1; }));
  EXPECT_EQ(CountNew(Recommend()), kNewItems);  // nothing counts as seen

  // Events in the deleted catalog do not count as interests.
  const auto recommended = Recommend();
  ASSERT_TRUE(recommended.ok()) << recommended.status();
  for (const auto& result : recommended->results()) {
    for (const auto& reason : result.reasons())
      EXPECT_NE(reason.source(), shop_pb::CANDIDATE_SOURCE_CONTENT) << result.item_id();
  }

  if (!GetParam().same_ids) {
    EXPECT_EQ(Similar(OldId(1)).status().code(), absl::StatusCode::kNotFound);
  }
}

INSTANTIATE_TEST_SUITE_P(Successors, RecreatedCatalogTest,
                         ::testing::Values(Scenario{"other-items", false, false},
                                           Scenario{"same-ids", false, true},
                                           Scenario{"same-declaration", true, false},
                                           Scenario{"same-declaration-and-ids", true, true}),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace palate::services
