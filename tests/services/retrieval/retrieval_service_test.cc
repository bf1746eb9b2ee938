// RetrievalService by gRPC, with a real index that follows a feature store of one catalog, and the
// pipeline's client of the service.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "retrieval/faiss_segment.h"
#include "services/clients/retrieval_client.h"
#include "services/convert/types_convert.h"
#include "services/retrieval/retrieval_grpc.h"
#include "services/runtime/client_call.h"
#include "services/runtime/server.h"
#include "services/runtime/status_convert.h"
#include "tests/eventually.h"
#include "tests/fakes/fake_change_source.h"
#include "tests/fakes/gated_segments.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

namespace retrieval_pb = palate::retrieval::v1;
using RetrievalStub = retrieval_pb::RetrievalService::StubInterface::async_interface;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const SpaceKey kText{.name = "text", .fingerprint = "model-1"};
const SpaceKey kImage{.name = "image", .fingerprint = "model-1"};

// Three items on a quarter of a circle: "a" on the first axis, "c" on the second, "b" between. "a"
// and "b" have images.
std::vector<retrieval::ItemUpdate> Items() {
  std::vector<retrieval::ItemUpdate> items(3);
  const std::vector<std::vector<float>> vectors = {{1, 0}, {0.6f, 0.8f}, {0, 1}};
  for (size_t i = 0; i < items.size(); ++i) {
    items[i].item_id = std::string(1, static_cast<char>('a' + i));
    items[i].revision = 1;
    items[i].number = static_cast<uint32_t>(i) + 1;
    items[i].attributes["price"] = static_cast<int64_t>(10 * (i + 1));
    items[i].vectors = {{.space = kText, .values = vectors[i]}};
  }

  for (int i : {0, 1}) items[i].vectors.push_back({.space = kImage, .values = {0, 0, 1}});
  return items;
}

class RetrievalServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    retrieval::CatalogConfig catalog;
    catalog.id = "shop";
    catalog.attributes = {{"price", AttributeType::kInt64, true}};
    catalog.spaces = {"text", "image"};
    source_.PutCatalog(catalog);
    for (retrieval::ItemUpdate& item : Items()) source_.PutItem(std::move(item), "shop");

    auto indexes = retrieval::IndexSet::Create({}, retrieval::FaissSegments(), clock_);
    ASSERT_TRUE(indexes.ok()) << indexes.status();
    indexes_ = *std::move(indexes);
    follower_ = std::make_unique<retrieval::Follower>(source_, *indexes_, clock_);

    ServiceSet set;
    ThreadPool* pool = set.Own(std::make_unique<ThreadPool>("retrieval", 2, 16));
    set.Add(std::make_unique<RetrievalGrpc>(*indexes_, *follower_, *pool));

    ServerConfig config;
    config.listen = "";
    auto server = Server::Start(config, std::move(set));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = retrieval_pb::RetrievalService::NewStub(server_->InProcessChannel());
  }

  void TearDown() override {
    server_.reset();
    follower_.reset();
  }

  void Follow() {
    follower_->Start();
    ASSERT_TRUE(Eventually([&] { return follower_->ready(); }));
  }

  static void AddQuery(const SpaceKey& space, std::vector<float> values, int k,
                       retrieval_pb::SearchRequest& request) {
    retrieval_pb::VectorQuery* query = request.add_queries();
    *query->mutable_vector() = ToProto(SpaceVector{.space = space, .values = std::move(values)});
    query->set_k(k);
  }

  // A request for the text vectors nearest to the first axis.
  static retrieval_pb::SearchRequest Request() {
    retrieval_pb::SearchRequest request;
    request.set_catalog("shop");
    AddQuery(kText, {1, 0}, 10, request);
    return request;
  }

  absl::Status Search(const retrieval_pb::SearchRequest& request,
                      retrieval_pb::SearchResponse& response) {
    return CallUnary(stub_->async(), &RetrievalStub::Search, request, response,
                     {.deadline = absl::Now() + absl::Seconds(20)});
  }

  // The field that google.rpc.BadRequest names, or the status.
  static std::string WrongField(const absl::Status& status) {
    const std::vector<FieldViolation> violations = FieldViolations(status);
    return absl::IsInvalidArgument(status) && violations.size() == 1 ? violations.front().field
                                                                     : status.ToString();
  }

  // The field that the error of the whole request names after `spoil` has changed the request.
  std::string RefusedField(const std::function<void(retrieval_pb::SearchRequest&)>& spoil) {
    retrieval_pb::SearchRequest request = Request();
    spoil(request);
    retrieval_pb::SearchResponse response;
    return WrongField(Search(request, response));
  }

  static std::vector<std::string> Ids(const retrieval_pb::SearchResult& result) {
    std::vector<std::string> ids;
    for (const types_pb::ScoredItem& item : result.items()) ids.push_back(item.item_id());
    return ids;
  }

  const SystemClock clock_;
  retrieval::FakeChangeSource source_;
  std::unique_ptr<retrieval::IndexSet> indexes_;
  std::unique_ptr<retrieval::Follower> follower_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<retrieval_pb::RetrievalService::Stub> stub_;
};

TEST_F(RetrievalServiceTest, SearchesTwoSpacesUnderOneFilterAndExclusions) {
  Follow();
  retrieval_pb::SearchRequest request = Request();
  AddQuery(kText, {0, 1}, 1, request);
  AddQuery(kImage, {0, 0, 1}, 10, request);

  retrieval_pb::SearchResponse response;
  ASSERT_TRUE(Search(request, response).ok());
  ASSERT_THAT(response.results(), SizeIs(3));
  EXPECT_THAT(Ids(response.results(0)), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Ids(response.results(1)), ElementsAre("c"));
  EXPECT_THAT(Ids(response.results(2)), ElementsAre("a", "b"));

  request.set_filter("price >= 20");
  request.add_exclude_item_ids("c");
  response.Clear();
  ASSERT_TRUE(Search(request, response).ok());
  EXPECT_TRUE(response.failures().empty());
  for (const retrieval_pb::SearchResult& result : response.results())
    EXPECT_THAT(Ids(result), ElementsAre("b"));
}

TEST_F(RetrievalServiceTest,
       WrongFilterExclusionsTimeOrNumberOfQueriesFailTheRequestNamingTheField) {
  Follow();

  EXPECT_EQ(RefusedField([](auto& request) { request.set_filter("prize < 3"); }), "filter");
  EXPECT_EQ(RefusedField([](auto& request) { request.set_filter("price <"); }), "filter");
  EXPECT_EQ(RefusedField([](auto& request) { request.set_filter(std::string(8193, ' ')); }),

            "filter");
  EXPECT_EQ(RefusedField([](auto& request) {
              for (int i = 0; i <= 10'000; ++i) request.add_exclude_item_ids(absl::StrCat(i));
            }),
            "exclude_item_ids");
  EXPECT_EQ(RefusedField([](auto& request) { request.set_exclude_item_numbers("no set"); }),
            "exclude_item_numbers");

  EXPECT_EQ(RefusedField([](auto& request) {
              request.mutable_request_time()->set_seconds(int64_t{1} << 40);
            }),
            "request_time");

  EXPECT_EQ(RefusedField([](auto& request) { request.clear_queries(); }), "queries");
  EXPECT_EQ(RefusedField([](auto& request) {
              while (request.queries_size() <= 256) *request.add_queries() = request.queries(0);
            }),
            "queries");
}

TEST_F(RetrievalServiceTest, TakesAsMuchAsTheLimitsAllow) {
  Follow();
  retrieval_pb::SearchRequest request = Request();
  request.mutable_queries(0)->set_k(1000);
  while (request.queries_size() < 256) *request.add_queries() = request.queries(0);
  for (int i = 0; i < 10'000; ++i) request.add_exclude_item_ids(absl::StrCat(i));
  request.set_filter("price >= 20" + std::string(8192 - 11, ' '));

  retrieval_pb::SearchResponse response;
  const absl::Status status = Search(request, response);
  ASSERT_TRUE(status.ok()) << status;

  EXPECT_TRUE(response.failures().empty());
  ASSERT_THAT(response.results(), SizeIs(256));
  for (const retrieval_pb::SearchResult& result : response.results())
    EXPECT_THAT(Ids(result), ElementsAre("b", "c"));
}

TEST_F(RetrievalServiceTest, WrongVectorsFailAloneNamingTheirField) {
  Follow();
  retrieval_pb::SearchRequest request;
  request.set_catalog("shop");
  AddQuery(kText, {1, 0, 0}, 10, request);
  AddQuery(kText, {1, 0}, 10, request);
  AddQuery(kText, {1, 0}, 10, request);
  request.mutable_queries(1)->mutable_vector()->set_values("seven b");
  AddQuery(kText, {1, 0}, 1001, request);
  AddQuery({.name = "", .fingerprint = "x"}, {1, 0}, 10, request);
  AddQuery({.name = "text", .fingerprint = "model-2"}, {1, 0}, 10, request);
  AddQuery({.name = "audio", .fingerprint = "x"}, {1, 0}, 10, request);
  retrieval_pb::SearchResponse response;
  const absl::Status status = Search(request, response);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_THAT(response.results(), SizeIs(7));
  EXPECT_THAT(Ids(response.results(2)), ElementsAre("a", "b", "c"));

  std::map<int, absl::Status> failures;
  for (const types_pb::ItemFailure& failure : response.failures())
    failures[failure.index()] = FromRpcStatus(failure.status());
  ASSERT_THAT(failures, SizeIs(6));
  EXPECT_EQ(WrongField(failures[0]), "queries[0].vector.values");
  EXPECT_EQ(WrongField(failures[1]), "queries[1].vector.values");
  EXPECT_EQ(WrongField(failures[3]), "queries[3].k");
  EXPECT_EQ(WrongField(failures[4]), "queries[4].vector.space.name");
  EXPECT_TRUE(absl::IsFailedPrecondition(failures[5])) << failures[5];
  EXPECT_THAT(std::string(failures[5].message()),
              ::testing::AllOf(HasSubstr("model-1"), HasSubstr("model-2")));
  EXPECT_TRUE(absl::IsNotFound(failures[6])) << failures[6];
}

TEST_F(RetrievalServiceTest, UnknownCatalogFailsTheRequest) {
  retrieval_pb::SearchRequest request = Request();
  request.set_catalog("attic");
  retrieval_pb::SearchResponse response;
  EXPECT_TRUE(absl::IsUnavailable(Search(request, response)))
      << "the catalog may come with the first listing";
  Follow();
  EXPECT_TRUE(absl::IsNotFound(Search(request, response)));
}

TEST_F(RetrievalServiceTest, ClientExcludesASetOfAnySizeByNumber) {
  Follow();
  RetrievalClient client([this] { return server_->InProcessChannel(); });
  pipeline::RetrievalRequest request;
  request.catalog = "shop";
  for (uint32_t number = 2; number < 200'000; ++number) {
    if (number != 3) request.exclude_item_numbers.Add(number);
  }
  request.queries = {{{kText, {1, 0}}, 10}};
  const auto results = client.Search(request, {.deadline = absl::Now() + absl::Seconds(20)});
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_THAT(*(*results)[0], SizeIs(2));
  EXPECT_EQ((*results)[0]->front().item_id, "a");
  EXPECT_EQ((*results)[0]->back().item_id, "c");
}

TEST_F(RetrievalServiceTest, ClientReturnsWhatMayBeShownOfListsAfterTheResultsOfQueries) {
  Follow();
  RetrievalClient client([this] { return server_->InProcessChannel(); });
  pipeline::RetrievalRequest request;
  request.catalog = "shop";
  request.filter = "price > 10";
  request.lists = {{.item_ids = {"a", "c", "ghost", "b"}, .k = 5}, {.item_ids = {}, .k = 1}};
  const CallContext context = {.deadline = absl::Now() + absl::Seconds(20)};

  const auto lists = client.Search(request, context);
  ASSERT_TRUE(lists.ok()) << lists.status();
  ASSERT_THAT(*lists, SizeIs(2));
  ASSERT_TRUE((*lists)[0].ok());
  EXPECT_THAT(*(*lists)[0], ElementsAre(ScoredItem{"c", 0}, ScoredItem{"b", 0}));
  EXPECT_THAT(*(*lists)[1], SizeIs(1));

  request.queries = {{.vector = {.space = kText, .values = {1, 0}}, .k = 1}};
  const auto both = client.Search(request, context);
  ASSERT_TRUE(both.ok()) << both.status();
  ASSERT_THAT(*both, SizeIs(3));
  EXPECT_EQ((*both)[0]->front().item_id, "b");
  EXPECT_EQ(*(*both)[1], *(*lists)[0]);
}

TEST_F(RetrievalServiceTest, ClientReturnsResultsByQueryAndTheRequestsFailureAsAWhole) {
  Follow();
  RetrievalClient client([this] { return server_->InProcessChannel(); });
  pipeline::RetrievalRequest request;
  request.catalog = "shop";
  request.filter = "price <= 20";
  request.exclude_item_ids = {"b"};
  request.queries = {{{kText, {0, 1}}, 10}, {{kText, {0, 1, 0}}, 10}, {{kImage, {0, 0, 1}}, 10}};
  const auto results = client.Search(request, {.deadline = absl::Now() + absl::Seconds(20)});
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_THAT(*results, SizeIs(3));
  for (const size_t i : {0, 2}) {
    ASSERT_TRUE((*results)[i].ok()) << (*results)[i].status();
    ASSERT_THAT(*(*results)[i], SizeIs(1));
    EXPECT_EQ((*results)[i]->front().item_id, "a");
  }
  EXPECT_EQ(WrongField((*results)[1].status()), "queries[1].vector.values");

  request.filter = "prize < 3";
  EXPECT_EQ(
      WrongField(client.Search(request, {.deadline = absl::Now() + absl::Seconds(20)}).status()),
      "filter");
}

TEST_F(RetrievalServiceTest, SnapshotNamesThePositionThatItHolds) {
  const TempFolder folder;
  auto saved = retrieval::IndexSet::Create({.snapshot_dir = folder.path()},
                                           retrieval::FaissSegments(), clock_);
  ASSERT_TRUE(saved.ok()) << saved.status();
  (*saved)->SetPosition("position 7");
  const absl::StatusOr<std::string> position = (*saved)->Save();
  ASSERT_TRUE(position.ok()) << position.status();
  EXPECT_EQ(*position, "position 7");
}

// A search of the first axis ends at once, one of the second waits for the test.
TEST(RetrievalDeadlineTest, CallerGetsWhatWasFoundUntilItsDeadlineAndTheNamesOfLateQueries) {
  const SystemClock clock;
  retrieval::GatedSegments gated(/*only_second_axis=*/true);
  auto indexes = retrieval::IndexSet::Create({.search_threads = 2}, gated, clock);
  ASSERT_TRUE(indexes.ok()) << indexes.status();
  retrieval::CatalogConfig catalog;
  catalog.id = "shop";
  catalog.spaces = {"text"};
  retrieval::ItemUpdate mug = Items().front();
  mug.attributes.clear();
  mug.vectors.resize(1);
  ASSERT_TRUE((*indexes)->Upsert(catalog).index->Apply({mug}, {}).ok());
  retrieval::FakeChangeSource source;
  const retrieval::Follower follower(source, **indexes, clock);
  ServiceSet set;
  ThreadPool* pool = set.Own(std::make_unique<ThreadPool>("retrieval", 2, 16));
  set.Add(std::make_unique<RetrievalGrpc>(**indexes, follower, *pool));
  ServerConfig config;
  config.listen = "";
  auto server = Server::Start(config, std::move(set));
  ASSERT_TRUE(server.ok()) << server.status();

  RetrievalClient client([&server] { return (*server)->InProcessChannel(); });
  pipeline::RetrievalRequest request;
  request.catalog = "shop";
  request.queries = {{{kText, {1, 0}}, 1}, {{kText, {0, 1}}, 1}, {{kText, {1, 0}}, 1}};
  const auto results = client.Search(request, {.deadline = absl::Now() + absl::Seconds(1)});
  gated.Open();
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_THAT(*results, SizeIs(3));
  for (const size_t i : {0, 2}) {
    ASSERT_TRUE((*results)[i].ok()) << (*results)[i].status();
    EXPECT_EQ((*results)[i]->front().item_id, "a");
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded((*results)[1].status())) << (*results)[1].status();
}

}  // namespace
}  // namespace palate::services
