// FeatureStoreService and CatalogService by gRPC, with a real store.
#include "services/featurestore/feature_store_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "base/status.h"
#include "palate/catalog/v1/catalog_service.grpc.pb.h"
#include "palate/featurestore/v1/feature_store_service.grpc.pb.h"
#include "services/clients/change_source_client.h"
#include "services/clients/feature_store_client.h"
#include "services/convert/types_convert.h"
#include "services/runtime/client_call.h"
#include "services/runtime/server.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

namespace store_pb = palate::featurestore::v1;
namespace catalog_pb = palate::catalog::v1;
using Store = store_pb::FeatureStoreService::StubInterface::async_interface;
using Catalogs = catalog_pb::CatalogService::StubInterface::async_interface;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const char kBadUtf8[] = "caf\xE9";

// The fields of a failure's google.rpc.BadRequest.
std::vector<std::string> Fields(const absl::Status& status) {
  std::vector<std::string> fields;
  for (const FieldViolation& violation : FieldViolations(status)) fields.push_back(violation.field);
  return fields;
}

class FeatureStoreServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Start();

    catalog_pb::CreateCatalogRequest request;
    types_pb::Catalog* catalog = request.mutable_catalog();
    catalog->set_id("shop");
    AddAttribute(*catalog, "style", types_pb::ATTRIBUTE_TYPE_STRING);
    AddAttribute(*catalog, "price", types_pb::ATTRIBUTE_TYPE_DOUBLE);
    catalog->add_event_types()->set_name("view");
    types_pb::EventTypeDeclaration* rating = catalog->add_event_types();
    rating->set_name("rating");
    rating->set_value_is_rating(true);

    catalog_pb::CreateCatalogResponse response;
    ASSERT_TRUE(Call(catalogs_->async(), &Catalogs::CreateCatalog, request, response).ok());
  }
  void TearDown() override { server_.reset(); }

  void Start() {
    FeatureStoreConfig config;
    config.store.dir = folder_.path();
    // No server listens there: items wait to be embedded.
    auto services = MakeFeatureStoreServices(config, TcpChannel("127.0.0.1:1"));
    ASSERT_TRUE(services.ok()) << services.status();

    auto server = Server::Start(ServerConfig(), *std::move(services));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);

    channel_ = DialTcp("127.0.0.1:" + std::to_string(server_->port()));
    store_ = store_pb::FeatureStoreService::NewStub(channel_);
    catalogs_ = catalog_pb::CatalogService::NewStub(channel_);
  }

  static void AddAttribute(types_pb::Catalog& catalog, const std::string& name,
                           types_pb::AttributeType type) {
    types_pb::AttributeDeclaration* attribute = catalog.add_attributes();
    attribute->set_name(name);
    attribute->set_type(type);
  }

  template <typename Async, typename Interface, typename Request, typename Response>
  absl::Status Call(Async* async,
                    void (Interface::*method)(grpc::ClientContext*, const Request*, Response*,
                                              std::function<void(grpc::Status)>),
                    const Request& request, Response& response) {
    return CallUnary(async, method, request, response,
                     {.deadline = absl::Now() + absl::Seconds(20)});
  }

  // Writes one item after `change` and returns its failure.
  absl::Status WriteItem(const std::function<void(types_pb::ItemWrite&)>& change) {
    store_pb::UpsertItemsRequest request;
    request.set_catalog("shop");
    types_pb::ItemWrite* write = request.add_writes();
    write->mutable_item()->set_id("a");
    change(*write);
    store_pb::UpsertItemsResponse response;

    const absl::Status status = Call(store_->async(), &Store::UpsertItems, request, response);
    if (!status.ok()) return status;
    return response.failures().empty() ? absl::OkStatus()
                                       : FromRpcStatus(response.failures(0).status());
  }

  absl::Status WriteEvent(const std::function<void(types_pb::Event&)>& change) {
    store_pb::WriteEventsRequest request;
    request.set_catalog("shop");
    types_pb::Event* event = request.add_events();
    event->set_user_id("u");
    event->set_item_id("a");
    event->set_event_type("view");
    *event->mutable_event_time() = ToProto(absl::Now());
    change(*event);
    store_pb::WriteEventsResponse response;

    const absl::Status status = Call(store_->async(), &Store::WriteEvents, request, response);
    if (!status.ok()) return status;
    return response.failures().empty() ? absl::OkStatus()
                                       : FromRpcStatus(response.failures(0).status());
  }

  TempFolder folder_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<store_pb::FeatureStoreService::Stub> store_;
  std::unique_ptr<catalog_pb::CatalogService::Stub> catalogs_;
};

TEST_F(FeatureStoreServiceTest, ElementsOfABatchFailAlone) {
  store_pb::UpsertItemsRequest request;
  request.set_catalog("shop");
  request.add_writes()->mutable_item()->set_id("good");
  types_pb::Item* bad = request.add_writes()->mutable_item();
  bad->set_id("bad");
  bad->set_title(kBadUtf8);
  request.add_writes()->mutable_item()->mutable_create_time()->set_seconds(-5);
  request.add_writes()->mutable_item()->set_id("good too");
  store_pb::UpsertItemsResponse response;

  ASSERT_TRUE(Call(store_->async(), &Store::UpsertItems, request, response).ok());
  ASSERT_EQ(response.revisions_size(), 4);
  EXPECT_GT(response.revisions(0), 0);
  EXPECT_EQ(response.revisions(1), 0);
  EXPECT_EQ(response.revisions(2), 0);
  EXPECT_GT(response.revisions(3), 0);

  ASSERT_EQ(response.failures_size(), 2);
  EXPECT_EQ(response.failures(0).index(), 1);
  EXPECT_THAT(Fields(FromRpcStatus(response.failures(0).status())),
              ElementsAre("writes[1].item.title"));
  EXPECT_EQ(response.failures(1).index(), 2);
  EXPECT_THAT(Fields(FromRpcStatus(response.failures(1).status())),
              ElementsAre("writes[2].item.create_time"));
}

TEST_F(FeatureStoreServiceTest, BadItemsAreRefusedByFieldValueAndLimit) {
  struct Case {
    std::string field;
    std::string said;
    std::function<void(types_pb::ItemWrite&)> change;
  };

  const std::vector<Case> cases = {
      {"writes[0].item.id", "empty", [](auto& write) { write.mutable_item()->clear_id(); }},
      {"writes[0].item.id", "257",
       [](auto& write) { write.mutable_item()->set_id(std::string(257, 'x')); }},
      {"writes[0].item.id", "control", [](auto& write) { write.mutable_item()->set_id("a\nb"); }},
      {"writes[0].item.title", "1025",
       [](auto& write) { write.mutable_item()->set_title(std::string(1025, 'x')); }},
      {"writes[0].item.description", "10000000",
       [](auto& write) { write.mutable_item()->set_description(std::string(10'000'000, 'x')); }},
      {"writes[0].item.attributes[\"colour\"]", "declared",
       [](auto& write) {
         (*write.mutable_item()->mutable_attributes())["colour"].set_string_value("red");
       }},
      {"writes[0].item.attributes[\"style\"]", "integer",
       [](auto& write) {
         (*write.mutable_item()->mutable_attributes())["style"].set_int64_value(3);
       }},
      {"writes[0].item.attributes[\"price\"]", "finite",
       [](auto& write) {
         (*write.mutable_item()->mutable_attributes())["price"].set_double_value(std::nan(""));
       }},
      {"writes[0].item.images[0].sha256", "digest",
       [](auto& write) {
         write.mutable_item()->add_images()->set_data("x");
         write.mutable_item()->mutable_images(0)->set_sha256(std::string(32, 'y'));
       }},
      {"writes[0].update_mask[0]", "colour",
       [](auto& write) { write.mutable_update_mask()->add_paths("colour"); }},
  };

  for (const Case& c : cases) {
    const absl::Status status = WriteItem(c.change);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.field;
    EXPECT_THAT(Fields(status), ElementsAre(c.field)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.said));
  }
}

TEST_F(FeatureStoreServiceTest, ABadPictureIsNamedInTheAnswerAndInTheItemThatIsStoredWithoutIt) {
  store_pb::UpsertItemsRequest request;
  request.set_catalog("shop");
  request.add_writes()->mutable_item()->set_id("\n");  // refused
  types_pb::Item* item = request.add_writes()->mutable_item();
  item->set_id("a");
  item->set_title("A lamp");
  item->add_images()->set_data("not a picture");
  item->add_images()->set_data("<html>");
  store_pb::UpsertItemsResponse response;
  ASSERT_TRUE(Call(store_->async(), &Store::UpsertItems, request, response).ok());
  EXPECT_EQ(response.failures_size(), 1);
  EXPECT_GT(response.revisions(1), 0);
  ASSERT_EQ(response.part_failures_size(), 2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(response.part_failures(i).index(), 1);
    const absl::Status status = FromRpcStatus(response.part_failures(i).status());
    EXPECT_THAT(Fields(status), ElementsAre("writes[1].item.images[" + std::to_string(i) + "]"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("JPEG, PNG or WebP"));
  }

  store_pb::ListItemsRequest list;
  list.set_catalog("shop");
  list.set_only_failing(true);
  store_pb::ListItemsResponse listed;
  ASSERT_TRUE(Call(store_->async(), &Store::ListItems, list, listed).ok());
  ASSERT_EQ(listed.items_size(), 1);
  EXPECT_EQ(listed.items(0).item().images_size(), 0);
  ASSERT_EQ(listed.items(0).failed_parts_size(), 2);
  EXPECT_EQ(listed.items(0).failed_parts(1).part(), "images[1]");
}

TEST_F(FeatureStoreServiceTest, BadEventsAreRefusedByField) {
  struct Case {
    std::string field;
    std::function<void(types_pb::Event&)> change;
  };

  const std::vector<Case> cases = {
      {"events[0].user_id", [](auto& event) { event.clear_user_id(); }},
      {"events[0].item_id", [](auto& event) { event.set_item_id(kBadUtf8); }},
      {"events[0].event_type", [](auto& event) { event.set_event_type("sneeze"); }},
      {"events[0].value",
       [](auto& event) { event.set_value(std::numeric_limits<double>::infinity()); }},
      {"events[0].value", [](auto& event) { event.set_event_type("rating"); }},
      {"events[0].event_time", [](auto& event) { event.mutable_event_time()->set_seconds(-1); }},
      {"events[0].event_time", [](auto& event) { event.clear_event_time(); }},
      {"events[0].event_time",
       [](auto& event) { event.mutable_event_time()->set_seconds(1000); }},  // too late
      {"events[0].event_id", [](auto& event) { event.set_event_id(std::string(300, 'x')); }},
  };

  for (const Case& c : cases) {
    const absl::Status status = WriteEvent(c.change);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.field;
    EXPECT_THAT(Fields(status), ElementsAre(c.field)) << status;
  }
}

TEST_F(FeatureStoreServiceTest, EmptyAndOverlongBatchesFailAsAWhole) {
  store_pb::UpsertItemsRequest items;
  items.set_catalog("shop");
  store_pb::UpsertItemsResponse items_response;
  EXPECT_THAT(Fields(Call(store_->async(), &Store::UpsertItems, items, items_response)),
              ElementsAre("writes"));
  for (int i = 0; i < 1001; ++i) items.add_writes();
  EXPECT_THAT(Fields(Call(store_->async(), &Store::UpsertItems, items, items_response)),
              ElementsAre("writes"));

  store_pb::WriteEventsRequest events;
  events.set_catalog("shop");
  store_pb::WriteEventsResponse events_response;
  EXPECT_THAT(Fields(Call(store_->async(), &Store::WriteEvents, events, events_response)),
              ElementsAre("events"));
}

TEST_F(FeatureStoreServiceTest, UnknownCatalogIsNotFoundEverywhere) {
  store_pb::GetUserContextRequest context;
  context.set_catalog("nowhere");
  store_pb::GetUserContextResponse context_response;
  EXPECT_TRUE(
      absl::IsNotFound(Call(store_->async(), &Store::GetUserContext, context, context_response)));

  store_pb::WriteEventsRequest events;
  events.set_catalog("nowhere");
  events.add_events();  // cannot be converted, so nothing is left to write
  store_pb::WriteEventsResponse events_response;
  EXPECT_TRUE(
      absl::IsNotFound(Call(store_->async(), &Store::WriteEvents, events, events_response)));

  catalog_pb::GetCatalogRequest get;
  get.set_catalog("nowhere");
  catalog_pb::GetCatalogResponse get_response;
  EXPECT_TRUE(absl::IsNotFound(Call(catalogs_->async(), &Catalogs::GetCatalog, get, get_response)));
}

TEST_F(FeatureStoreServiceTest, SameEventSentTwiceCountsOnce) {
  store_pb::WriteEventsRequest request;
  request.set_catalog("shop");
  types_pb::Event* event = request.add_events();
  event->set_event_id("e1");
  event->set_user_id("u");
  event->set_item_id("a");
  event->set_event_type("view");
  *event->mutable_event_time() = ToProto(absl::Now());
  store_pb::WriteEventsResponse response;

  ASSERT_TRUE(Call(store_->async(), &Store::WriteEvents, request, response).ok());
  EXPECT_EQ(response.written(), 1);
  ASSERT_TRUE(Call(store_->async(), &Store::WriteEvents, request, response).ok());
  EXPECT_EQ(response.written(), 0);
  EXPECT_EQ(response.duplicates(), 1);
}

TEST_F(FeatureStoreServiceTest, CatalogDeclarationIsCheckedByField) {
  catalog_pb::CreateCatalogRequest request;
  request.mutable_catalog()->set_id("Other");
  catalog_pb::CreateCatalogResponse response;
  EXPECT_THAT(Fields(Call(catalogs_->async(), &Catalogs::CreateCatalog, request, response)),
              ElementsAre("catalog.id"));

  request.mutable_catalog()->set_id("other");
  AddAttribute(*request.mutable_catalog(), "style", types_pb::ATTRIBUTE_TYPE_UNSPECIFIED);
  EXPECT_THAT(Fields(Call(catalogs_->async(), &Catalogs::CreateCatalog, request, response)),
              ElementsAre("catalog.attributes[0].type"));

  request.mutable_catalog()->clear_attributes();
  request.mutable_catalog()->set_rerank_weight(2);
  EXPECT_THAT(Fields(Call(catalogs_->async(), &Catalogs::CreateCatalog, request, response)),
              ElementsAre("catalog.rerank_weight"));
}

TEST_F(FeatureStoreServiceTest, FolderThatIsOpenSaysByWhichProcess) {
  FeatureStoreConfig config;
  config.store.dir = folder_.path();
  const absl::Status status = MakeFeatureStoreServices(config, TcpChannel("127.0.0.1:1")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(::getpid())));
}

TEST_F(FeatureStoreServiceTest, ReaderGetsContextWithItemsOfTheEvents) {
  ASSERT_TRUE(WriteItem([](auto& write) { write.mutable_item()->set_title("Chair"); }).ok());
  ASSERT_TRUE(WriteEvent([](auto&) {}).ok());
  FeatureStoreClient client([this] { return channel_; });

  UserContextQuery query;
  query.catalog = "shop";
  query.user_id = "u";
  query.num_trending = 5;
  query.num_fresh = 5;

  const auto context = client.GetUserContext(query, {.deadline = absl::Now() + absl::Seconds(20)});

  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_EQ(context->catalog.id, "shop");
  ASSERT_EQ(context->events.size(), 1u);
  EXPECT_EQ(context->events[0].weight, 1);
  ASSERT_NE(context->ItemOf(context->events[0]), nullptr);
  EXPECT_EQ(context->ItemOf(context->events[0])->item.title, "Chair");
  EXPECT_THAT(context->seen.Numbers(),
              ElementsAre(context->ItemOf(context->events[0])->item.number));
  EXPECT_EQ(context->fresh.size(), 1u);
}

TEST_F(FeatureStoreServiceTest, ReaderGetsItemsInTheOrderOfTheIds) {
  for (const char* id : {"a", "b"})
    ASSERT_TRUE(WriteItem([id](auto& write) { write.mutable_item()->set_id(id); }).ok());
  FeatureStoreClient client([this] { return channel_; });
  const auto items = client.GetItems("shop", {"gone", "b", "a", "gone", "b"}, {},
                                     {.deadline = absl::Now() + absl::Seconds(20)});
  ASSERT_TRUE(items.ok()) << items.status();

  std::vector<std::string> ids;
  for (const auto& item : *items) ids.push_back(item.has_value() ? item->item.id : "-");
  EXPECT_THAT(ids, ElementsAre("-", "b", "a", "-", "b"));
}

TEST_F(FeatureStoreServiceTest, FollowerSeesChangesOfCatalogsThatComeLater) {
  ChangeSourceClient source([this] { return channel_; }, absl::Seconds(20));
  auto position = source.CurrentPosition();

  ASSERT_TRUE(position.ok()) << position.status();
  catalog_pb::CreateCatalogRequest create;
  create.mutable_catalog()->set_id("later");
  catalog_pb::CreateCatalogResponse created;
  ASSERT_TRUE(Call(catalogs_->async(), &Catalogs::CreateCatalog, create, created).ok());

  store_pb::UpsertItemsRequest upsert;
  upsert.set_catalog("later");
  upsert.add_writes()->mutable_item()->set_id("x");
  store_pb::UpsertItemsResponse upserted;
  ASSERT_TRUE(Call(store_->async(), &Store::UpsertItems, upsert, upserted).ok());

  bool seen = false;
  while (!seen) {
    const auto batch = source.WatchChanges(*position, absl::Seconds(20));
    ASSERT_TRUE(batch.ok()) << batch.status();
    ASSERT_FALSE(batch->changes.empty()) << "no change before the timeout";
    for (const retrieval::Change& change : batch->changes)
      seen |= change.catalog == "later" && change.item_id == "x";
    position = batch->next_position;
  }

  const auto items = source.GetItems("later", {"x", "unknown"});
  ASSERT_TRUE(items.ok()) << items.status();
  ASSERT_EQ(items->size(), 1u);
  EXPECT_GT((*items)[0].revision, 0);
}

TEST_F(FeatureStoreServiceTest, FollowerResumesBehindItsTokenAfterARestart) {
  std::string position;
  {
    ChangeSourceClient source([this] { return channel_; }, absl::Seconds(20));
    position = source.CurrentPosition().value();
  }
  ASSERT_TRUE(WriteItem([](auto&) {}).ok());

  server_.reset();
  Start();

  ChangeSourceClient source([this] { return channel_; }, absl::Seconds(20));
  const auto batch = source.WatchChanges(position, absl::Seconds(20));
  ASSERT_TRUE(batch.ok()) << batch.status();
  ASSERT_EQ(batch->changes.size(), 1u);
  EXPECT_EQ(batch->changes[0].item_id, "a");
  EXPECT_LT(absl::Now() - batch->changes[0].time, absl::Minutes(5)) << "its age is the lag";
}

TEST_F(FeatureStoreServiceTest, CancelEndsAWaitingFollower) {
  ChangeSourceClient source([this] { return channel_; }, absl::Seconds(20));
  const std::string position = source.CurrentPosition().value();
  std::thread cancel([&] { source.Cancel(); });
  EXPECT_EQ(source.WatchChanges(position, absl::Hours(1)).status().code(),
            absl::StatusCode::kCancelled);
  cancel.join();
  EXPECT_EQ(source.ListItems("shop", "").status().code(), absl::StatusCode::kCancelled);
}

TEST_F(FeatureStoreServiceTest, StoppingServerEndsWatchers) {
  ChangeSourceClient source([this] { return channel_; }, absl::Seconds(20));
  const std::string position = source.CurrentPosition().value();
  std::thread stop([&] { server_->Drain(); });
  EXPECT_EQ(source.WatchChanges(position, absl::Hours(1)).status().code(),
            absl::StatusCode::kUnavailable);
  stop.join();
}

TEST_F(FeatureStoreServiceTest, UnknownResumeTokenIsRefused) {
  ChangeSourceClient source([this] { return channel_; }, absl::Seconds(20));
  EXPECT_THAT(Fields(source.WatchChanges("nonsense", absl::Seconds(20)).status()),
              ElementsAre("resume_token"));
}

TEST_F(FeatureStoreServiceTest, PurgedUserIsGone) {
  ASSERT_TRUE(WriteEvent([](auto&) {}).ok());
  store_pb::PurgeUserRequest purge;
  purge.set_catalog("shop");
  purge.set_user_id("u");
  store_pb::PurgeUserResponse purged;
  ASSERT_TRUE(Call(store_->async(), &Store::PurgeUser, purge, purged).ok());
  EXPECT_EQ(purged.removed_events(), 1);
  EXPECT_FALSE(purged.dropped_query_vectors())
      << "the embedding service is not reachable in this test";

  store_pb::GetUserContextRequest context;
  context.set_catalog("shop");
  context.set_user_id("u");
  context.set_max_events(10);
  store_pb::GetUserContextResponse answer;
  ASSERT_TRUE(Call(store_->async(), &Store::GetUserContext, context, answer).ok());

  EXPECT_THAT(answer.events(), IsEmpty());
  EXPECT_THAT(answer.seen_item_numbers(), IsEmpty());
}

TEST_F(FeatureStoreServiceTest, ItemsWaitWhileEmbeddingIsAway) {
  ASSERT_TRUE(WriteItem([](auto& write) { write.mutable_item()->set_title("Chair"); }).ok());
  store_pb::GetStatsResponse stats;
  ASSERT_TRUE(Call(store_->async(), &Store::GetStats, store_pb::GetStatsRequest(), stats).ok());
  ASSERT_EQ(stats.catalogs_size(), 1);
  EXPECT_EQ(stats.catalogs(0).items(), 1);
  EXPECT_EQ(stats.catalogs(0).embedding_backlog(), 1);
}

}  // namespace
}  // namespace palate::services
