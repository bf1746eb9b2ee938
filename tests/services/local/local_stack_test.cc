// All services in one process: wrong requests to the public API, streams, and the data folder.
#include "services/local/local_stack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "palate/embedding/v1/embedding_service.grpc.pb.h"
#include "services/runtime/status_convert.h"
#include "spdlog/sinks/ringbuffer_sink.h"
#include "tests/eventually.h"
#include "tests/services/processes.h"
#include "tests/services/shop.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Stub = shop_pb::RecommenderService::StubInterface::async_interface;

const char kBadUtf8[] = "caf\xE9";

std::vector<std::string> Fields(const absl::Status& status) {
  std::vector<std::string> fields;
  for (const FieldViolation& violation : FieldViolations(status)) fields.push_back(violation.field);
  return fields;
}

StackConfig ConfigFor(const std::string& folder) {
  StackConfig config;
  config.data_dir = folder;
  config.server.listen = "";
  config.embedding.models = {{"dual_encoder", BuiltinModel("dual_encoder")}};
  config.ranking.models = {{"shopper-lm", BuiltinModel("shopper-lm")}};
  if (!HasLanguageModel()) config.ranking.models.clear();
  return config;
}

// One stack for all tests: loading the models takes a while.
class LocalStackTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder();
    auto stack = LocalStack::Start(ConfigFor(folder_->path()));
    ASSERT_TRUE(stack.ok()) << stack.status();
    stack_ = stack->release();

    Shop shop(stack_->channel());
    ASSERT_TRUE(shop.Fill().ok());
    ASSERT_TRUE(Eventually([&] {
      const auto found = shop.Search("a tent", absl::Seconds(20));
      return found.ok() && found->results_size() == 5;
    }));
  }
  static void TearDownTestSuite() {
    delete stack_;
    delete folder_;
  }

  template <typename Request, typename Response>
  absl::Status Call(void (Stub::*method)(grpc::ClientContext*, const Request*, Response*,
                                         std::function<void(grpc::Status)>),
                    const Request& request, Response& response) {
    return CallUnary(shop_.recommender().async(), method, request, response,
                     {.deadline = absl::Now() + absl::Seconds(60)});
  }

  absl::Status Recommend(const std::function<void(shop_pb::RecommendRequest&)>& change) {
    shop_pb::RecommendRequest request;
    request.set_catalog("shop");
    request.set_user_id("u0");
    change(request);
    shop_pb::RecommendResponse response;
    return Call(&Stub::Recommend, request, response);
  }

  absl::Status Search(const std::function<void(shop_pb::SearchRequest&)>& change) {
    shop_pb::SearchRequest request;
    request.set_catalog("shop");
    change(request);
    shop_pb::SearchResponse response;
    return Call(&Stub::Search, request, response);
  }

  static TempFolder* folder_;
  static LocalStack* stack_;
  Shop shop_{stack_->channel()};
};

TempFolder* LocalStackTest::folder_ = nullptr;
LocalStack* LocalStackTest::stack_ = nullptr;

TEST_F(LocalStackTest, BadRecommendRequestsAreRefusedByField) {
  struct Case {
    std::string field;
    std::function<void(shop_pb::RecommendRequest&)> change;
  };

  const std::vector<Case> cases = {
      {"catalog", [](auto& request) { request.clear_catalog(); }},
      {"user_id", [](auto& request) { request.set_user_id(std::string(257, 'x')); }},
      {"user_id", [](auto& request) { request.set_user_id(kBadUtf8); }},
      {"num_results", [](auto& request) { request.set_num_results(501); }},
      {"num_results", [](auto& request) { request.set_num_results(-1); }},
      {"filter", [](auto& request) { request.set_filter("price <"); }},
      {"filter", [](auto& request) { request.set_filter("taste = \"sour\""); }},
      {"filter", [](auto& request) { request.set_filter("price = \"cheap\""); }},
      {"exclude_item_ids[1]",
       [](auto& request) {
         request.add_exclude_item_ids("a");
         request.add_exclude_item_ids("");
       }},
      {"exclude_item_ids",
       [](auto& request) {
         for (int i = 0; i <= 10'000; ++i) request.add_exclude_item_ids(absl::StrCat(i));
       }},
      {"context_item_ids",
       [](auto& request) {
         for (int i = 0; i <= 100; ++i) request.add_context_item_ids(absl::StrCat(i));
       }},
      {"request_time", [](auto& request) { request.mutable_request_time()->set_seconds(-1); }},
      {"session_events[0].item_id",
       [](auto& request) { request.add_session_events()->set_event_type("view"); }},
      {"session_events[0].value",
       [](auto& request) {
         request.add_session_events()->set_item_id("a");
         request.mutable_session_events(0)->set_event_type("view");
         request.mutable_session_events(0)->set_value(std::numeric_limits<double>::quiet_NaN());
       }},
      {"diversity.mmr_lambda",
       [](auto& request) { request.mutable_diversity()->set_mmr_lambda(std::nan("")); }},
      {"diversity.exploration_share",
       [](auto& request) { request.mutable_diversity()->set_exploration_share(0.9); }},
      {"query.text",
       [](auto& request) { request.mutable_query()->set_text(std::string(8193, 'x')); }},
      {"query.text",
       [](auto& request) { request.mutable_query()->set_text(std::string("a\0b", 3)); }},
      {"language", [](auto& request) { request.set_language("not-a-tag!!"); }},
      {"language", [](auto& request) { request.set_language("de_DE"); }},
      {"filter", [](auto& request) { request.set_filter("price < 0x10"); }},
      {"diversity.attribute_caps",
       [](auto& request) {
         auto* cap = request.mutable_diversity()->add_attribute_caps();
         cap->set_attribute("nope");
         cap->set_max_results(1);
       }},
      {"session_events[0].session_id",
       [](auto& request) {
         request.add_session_events()->set_item_id("a");
         request.mutable_session_events(0)->set_event_type("view");
         request.mutable_session_events(0)->set_session_id("s\n1");
       }},
  };

  for (const Case& c : cases) {
    const absl::Status status = Recommend(c.change);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.field << ": " << status;
    EXPECT_THAT(Fields(status), ElementsAre(c.field)) << status;
  }
}

TEST_F(LocalStackTest, UnparsableFilterNamesThePosition) {
  const absl::Status status =
      Recommend([](auto& request) { request.set_filter("price < 3 AND AND"); });
  EXPECT_THAT(std::string(status.message()), HasSubstr("15"));
}

TEST_F(LocalStackTest, BadSearchesAreRefused) {
  EXPECT_THAT(Fields(Search([](auto&) {})), ElementsAre("query"));
  EXPECT_THAT(Fields(Search([](auto& request) { request.mutable_query()->set_text(kBadUtf8); })),
              ElementsAre("query.text"));
  const absl::Status truncated = Search([](auto& request) {
    request.mutable_query()->set_image(MakePng(32, 32, 1, 2, 3).substr(0, 50));
  });
  EXPECT_EQ(truncated.code(), absl::StatusCode::kInvalidArgument) << truncated;
  EXPECT_THAT(std::string(truncated.message()), HasSubstr("image"));
}

TEST_F(LocalStackTest, UnknownCatalogIsNotFound) {
  EXPECT_EQ(Recommend([](auto& request) { request.set_catalog("nowhere"); }).code(),
            absl::StatusCode::kNotFound);
}

TEST_F(LocalStackTest, UnknownUserIsServedAsANewOne) {
  const auto answer = shop_.Recommend("nobody", absl::Seconds(60));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->results_size(), 5);
}

TEST_F(LocalStackTest, StreamSendsRankedItemsFirstThenExplanationsThenStages) {
  shop_pb::RecommendStreamRequest request;
  request.mutable_request()->set_catalog("shop");
  request.mutable_request()->set_user_id("u1");
  request.mutable_request()->set_num_results(3);
  request.mutable_request()->set_explain(types::v1::EXPLAIN_MODE_LLM);

  BoundContext context({.deadline = absl::Now() + absl::Seconds(60)});
  StreamReader<shop_pb::RecommendStreamResponse> reader;
  reader.Start([&](grpc::ClientReadReactor<shop_pb::RecommendStreamResponse>* reactor) {
    shop_.recommender().async()->RecommendStream(context.get(), &request, reactor);
  });

  std::vector<shop_pb::RecommendStreamResponse> messages;
  shop_pb::RecommendStreamResponse message;
  while (reader.Read(message)) messages.push_back(message);
  const absl::Status status = reader.Finish();
  ASSERT_TRUE(status.ok()) << status;

  ASSERT_GE(messages.size(), 5u);
  EXPECT_TRUE(messages.front().has_ranked());
  EXPECT_EQ(messages.front().ranked().results_size(), 3);
  EXPECT_TRUE(messages.back().has_done());
  int explained = 0;

  for (const auto& part : messages) explained += part.has_explanation();
  EXPECT_EQ(explained, 3);
}

TEST_F(LocalStackTest, NewItemIsFoundByItsWords) {
  ASSERT_TRUE(shop_.Add("kettle", "whistling copper kettle").ok());
  EXPECT_TRUE(Eventually([&] {
    const auto found = shop_.Search("copper kettle", absl::Seconds(20));
    return found.ok() && found->results_size() > 0 && found->results(0).item_id() == "kettle";
  }));
}

TEST_F(LocalStackTest, PurgedUserHasNoQueryVectorsLeft) {
  const auto stub = embedding::v1::EmbeddingService::NewStub(stack_->channel());

  const auto queries = [&] {
    embedding::v1::GetStatsResponse stats;
    EXPECT_TRUE(
        CallUnary(stub->async(),
                  &embedding::v1::EmbeddingService::StubInterface::async_interface::GetStats,
                  embedding::v1::GetStatsRequest(), stats,
                  {.deadline = absl::Now() + absl::Seconds(60)})
            .ok());
    return stats.queries();
  };

  const auto recommend = [&] {
    return Recommend([](auto& request) {
             request.set_user_id("asker");
             request.mutable_query()->set_text("something nobody else asks for");
           })
        .ok();
  };

  const auto search = [&] {
    shop_pb::SearchRequest request;
    request.set_catalog("shop");
    request.set_user_id("asker");
    request.mutable_query()->set_text("something nobody else looks for");
    shop_pb::SearchResponse response;
    return Call(&Stub::Search, request, response).ok();
  };

  // Words are compared with texts and with pictures: two vectors. On a busy machine they may be
  // ready too late for the response; the request is then repeated.
  const int64_t before = queries().vectors();
  EXPECT_TRUE(Eventually([&] { return recommend() && queries().vectors() == before + 2; }));
  EXPECT_TRUE(Eventually([&] { return search() && queries().vectors() == before + 4; }));

  const int64_t computed = queries().misses();
  ASSERT_TRUE(recommend() && search());
  EXPECT_EQ(queries().misses(), computed) << "cached";

  shop_pb::PurgeUserRequest purge;
  purge.set_catalog("shop");
  purge.set_user_id("asker");
  shop_pb::PurgeUserResponse purged;
  ASSERT_TRUE(Call(&Stub::PurgeUser, purge, purged).ok());
  EXPECT_TRUE(purged.dropped_query_vectors());

  EXPECT_EQ(queries().vectors(), before);
  EXPECT_TRUE(Eventually([&] { return search() && queries().misses() > computed; }))
      << "computed again";
}

TEST_F(LocalStackTest, TextWithANulIsRefusedByField) {
  shop_pb::UpsertItemsRequest request;
  request.set_catalog("shop");
  types_pb::Item* item = request.add_writes()->mutable_item();
  item->set_id("nul");
  item->set_title(std::string("a\0b", 3));
  shop_pb::UpsertItemsResponse response;
  const absl::Status status = Call(&Stub::UpsertItems, request, response);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(response.failures_size(), 1);
  EXPECT_THAT(Fields(FromRpcStatus(response.failures(0).status())),
              ElementsAre("writes[0].item.title"));
}

TEST_F(LocalStackTest, FolderThatIsOpenSaysByWhichProcess) {
  const absl::Status status = LocalStack::Start(ConfigFor(folder_->path())).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat(::getpid())));
}

TEST(LocalStackStopTest, OrdinaryShutdownReportsNoFeatureStoreThatCannotBeFollowed) {
  const TempFolder folder;
  StackConfig config = ConfigFor(folder.path());
  config.ranking.models.clear();
  auto lines = std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(1000);
  spdlog::default_logger()->sinks().push_back(lines);
  auto stack = LocalStack::Start(config);
  ASSERT_TRUE(stack.ok()) << stack.status();
  ASSERT_TRUE(Shop((*stack)->channel()).Fill().ok());

  stack->reset();
  spdlog::default_logger()->sinks().pop_back();
  for (const std::string& line : lines->last_formatted())
    EXPECT_THAT(line, ::testing::Not(HasSubstr("cannot follow the feature store")));
}

TEST(LocalStackStartTest, MissingModelFolderIsAClearErrorAtStart) {
  TempFolder folder;
  StackConfig config = ConfigFor(folder.path());
  config.embedding.models = {{"dual_encoder", folder.path() + "/nothing"}};
  const absl::Status status = LocalStack::Start(config).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder.path() + "/nothing"));
}

}  // namespace
}  // namespace palate::services
