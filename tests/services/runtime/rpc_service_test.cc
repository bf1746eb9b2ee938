// RpcService, Forward and Server: a real gRPC server with a service whose handlers do what the
// tests need.
#include "services/runtime/rpc_service.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "palate/catalog/v1/catalog_service.grpc.pb.h"
#include "palate/featurestore/v1/feature_store_service.pb.h"
#include "palate/recommender/v1/recommender_service.pb.h"
#include "services/runtime/channel.h"
#include "services/runtime/client_call.h"
#include "services/runtime/forward.h"
#include "services/runtime/server.h"

namespace palate::services {
namespace {

namespace catalog_pb = palate::catalog::v1;
using Stub = catalog_pb::CatalogService::StubInterface::async_interface;
using ::testing::HasSubstr;

// GetCatalog: "block" waits until it is cancelled or released, "throw" throws, "refuse" is an
// invalid field, any other id is returned.
class TestService final : public RpcService {
 public:
  explicit TestService(ThreadPool& pool)
      : RpcService(catalog_pb::CatalogService::service_full_name(), pool) {
    Unary("CreateCatalog", this, &TestService::Create);
    Unary("GetCatalog", this, &TestService::Get);
    Unary("UpdateCatalog", this, &TestService::Update);
    Unary("ListCatalogs", this, &TestService::List);
    SetDefaultTimeout(kDefaultTimeout);
    Unary("DeleteCatalog", this, &TestService::Delete);
    CheckComplete();
  }

  static constexpr absl::Duration kDefaultTimeout = absl::Minutes(7);

  absl::Notification entered, cancelled, release;
  // The deadlines of the last ListCatalogs, which has no default timeout, and DeleteCatalog, which
  // has one.
  absl::Time list_deadline, delete_deadline;

 private:
  absl::Status Get(Call& call, const catalog_pb::GetCatalogRequest& request,
                   catalog_pb::GetCatalogResponse& response) {
    if (request.catalog() == "throw") throw std::runtime_error("boom");
    if (request.catalog() == "refuse")
      return InvalidField("catalog", "is \"refuse\"", "another word");
    if (request.catalog() == "block") {
      entered.Notify();
      while (!call.cancelled() && !release.WaitForNotificationWithTimeout(absl::Milliseconds(5))) {
      }
      if (call.cancelled()) cancelled.Notify();
    }
    response.mutable_catalog()->set_id(request.catalog());
    return absl::OkStatus();
  }
  absl::Status Create(Call&, const catalog_pb::CreateCatalogRequest& request,
                      catalog_pb::CreateCatalogResponse& response) {
    *response.mutable_catalog() = request.catalog();
    return absl::OkStatus();
  }
  absl::Status Update(Call&, const catalog_pb::UpdateCatalogRequest&,
                      catalog_pb::UpdateCatalogResponse&) {
    return absl::OkStatus();
  }
  absl::Status List(Call& call, const catalog_pb::ListCatalogsRequest&,
                    catalog_pb::ListCatalogsResponse&) {
    list_deadline = call.context().deadline;
    return absl::OkStatus();
  }
  absl::Status Delete(Call& call, const catalog_pb::DeleteCatalogRequest&,
                      catalog_pb::DeleteCatalogResponse&) {
    delete_deadline = call.context().deadline;
    return absl::OkStatus();
  }
};

class RpcServiceTest : public ::testing::Test {
 protected:
  void Start(int threads, size_t queue_limit) {
    ServiceSet set;
    ThreadPool* pool = set.Own(std::make_unique<ThreadPool>("test", threads, queue_limit));
    service_ = set.Add(std::make_unique<TestService>(*pool));

    ServerConfig config;
    config.drain = absl::Seconds(5);
    auto server = Server::Start(config, std::move(set));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = DialTcp("127.0.0.1:" + std::to_string(server_->port()));
    stub_ = catalog_pb::CatalogService::NewStub(channel_);
  }

  absl::Status Get(const std::string& id, absl::Duration timeout = absl::Seconds(20)) {
    catalog_pb::GetCatalogRequest request;
    request.set_catalog(id);
    catalog_pb::GetCatalogResponse response;
    return CallUnary(stub_->async(), &Stub::GetCatalog, request, response,
                     {.deadline = absl::Now() + timeout});
  }

  std::unique_ptr<Server> server_;
  TestService* service_ = nullptr;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<catalog_pb::CatalogService::Stub> stub_;
};

// The health service has no generated code in the packages; its messages are small enough to read
// by hand.
absl::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                     const std::string& in, std::string& out) {
  BoundContext context({.deadline = absl::Now() + absl::Seconds(20)});
  grpc::Slice slice(in);
  grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer response;
  StatusWaiter waiter;
  grpc::GenericStub(channel).UnaryCall(context.get(), method, grpc::StubOptions(), &request,
                                       &response, [&](grpc::Status status) { waiter.Set(status); });
  const absl::Status status = waiter.Wait();
  grpc::Slice whole;
  if (response.Valid() && response.DumpToSingleSlice(&whole).ok())
    out.assign(whole.begin(), whole.end());
  return status;
}

constexpr char kServing[] = "\x08\x01";     // HealthCheckResponse{status: SERVING}
constexpr char kNotServing[] = "\x08\x02";  // HealthCheckResponse{status: NOT_SERVING}

TEST_F(RpcServiceTest, AnswersHealthChecks) {
  Start(1, 1);
  std::string answer;

  ASSERT_TRUE(CallRaw(channel_, "/grpc.health.v1.Health/Check", "", answer).ok());
  EXPECT_EQ(answer, kServing);
}

TEST_F(RpcServiceTest, ListsItsServicesByReflection) {
  Start(1, 1);
  grpc::ClientContext context;
  const grpc::internal::RpcMethod rpc(
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
      grpc::internal::RpcMethod::BIDI_STREAMING, channel_);
  std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> stream(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
          channel_.get(), rpc, &context));

  grpc::Slice list("\x3A\x00", 2);  // ServerReflectionRequest{list_services: ""}
  ASSERT_TRUE(stream->Write(grpc::ByteBuffer(&list, 1)));
  grpc::ByteBuffer answer;
  ASSERT_TRUE(stream->Read(&answer));

  grpc::Slice whole;
  ASSERT_TRUE(answer.DumpToSingleSlice(&whole).ok());
  EXPECT_THAT(std::string(whole.begin(), whole.end()),
              HasSubstr("palate.catalog.v1.CatalogService"));

  stream->WritesDone();
  while (stream->Read(&answer)) {
  }
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(RpcServiceTest, FullPoolRefusesAtOnce) {
  Start(/*threads=*/1, /*queue_limit=*/1);
  std::thread running([&] { EXPECT_TRUE(Get("block").ok()); });
  service_->entered.WaitForNotification();

  // The second call waits in the queue even after its deadline; the third is refused.
  EXPECT_EQ(Get("second", absl::Milliseconds(100)).code(), absl::StatusCode::kDeadlineExceeded);
  const absl::Status refused = Get("third");
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("the limit is 1"));

  service_->release.Notify();
  running.join();
}

TEST_F(RpcServiceTest, DefaultTimeoutIsForCallersThatSetNoDeadline) {
  Start(1, 1);
  catalog_pb::ListCatalogsResponse listed;
  ASSERT_TRUE(
      CallUnary(stub_->async(), &Stub::ListCatalogs, catalog_pb::ListCatalogsRequest(), listed, {})
          .ok());
  EXPECT_EQ(service_->list_deadline, absl::InfiniteFuture()) << "its method was registered without";

  catalog_pb::DeleteCatalogResponse deleted;
  const absl::Time began = absl::Now();
  ASSERT_TRUE(CallUnary(stub_->async(), &Stub::DeleteCatalog, catalog_pb::DeleteCatalogRequest(),
                        deleted, {})
                  .ok());
  EXPECT_GE(service_->delete_deadline, began + TestService::kDefaultTimeout);
  EXPECT_LE(service_->delete_deadline, absl::Now() + TestService::kDefaultTimeout);

  const CallContext longer = {.deadline = began + 2 * TestService::kDefaultTimeout};
  ASSERT_TRUE(CallUnary(stub_->async(), &Stub::DeleteCatalog, catalog_pb::DeleteCatalogRequest(),
                        deleted, longer)
                  .ok());
  EXPECT_GT(service_->delete_deadline, began + TestService::kDefaultTimeout + absl::Minutes(1));
}

TEST_F(RpcServiceTest, HandlerLearnsThatItsCallerHasGone) {
  Start(1, 1);
  grpc::ClientContext context;
  catalog_pb::GetCatalogRequest request;
  request.set_catalog("block");
  catalog_pb::GetCatalogResponse response;
  StatusWaiter waiter;
  stub_->async()->GetCatalog(&context, &request, &response,
                             [&](grpc::Status status) { waiter.Set(status); });

  service_->entered.WaitForNotification();
  context.TryCancel();
  EXPECT_EQ(waiter.Wait().code(), absl::StatusCode::kCancelled);
  service_->cancelled.WaitForNotification();
}

TEST_F(RpcServiceTest, CallInQueueWhoseDeadlinePassedIsNotBegun) {
  Start(1, 4);
  std::thread running([&] { EXPECT_TRUE(Get("block").ok()); });
  service_->entered.WaitForNotification();

  // "throw" would return INTERNAL if it had been started.
  EXPECT_EQ(Get("throw", absl::Milliseconds(100)).code(), absl::StatusCode::kDeadlineExceeded);

  service_->release.Notify();
  running.join();
}

TEST_F(RpcServiceTest, ExceptionOfALibraryIsInternalAndTheServerGoesOn) {
  Start(1, 1);
  EXPECT_EQ(Get("throw").code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(Get("after").ok());
}

TEST_F(RpcServiceTest, MessageOverTheCapIsResourceExhausted) {
  Start(1, 1);
  catalog_pb::CreateCatalogRequest request;
  request.mutable_catalog()->set_display_name(std::string(kMaxMessageBytes + 1, 'x'));
  catalog_pb::CreateCatalogResponse response;

  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(-1);
  const auto stub = catalog_pb::CatalogService::NewStub(
      grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_->port()),
                                grpc::InsecureChannelCredentials(), arguments));
  EXPECT_EQ(CallUnary(stub->async(), &Stub::CreateCatalog, request, response,
                      {.deadline = absl::Now() + absl::Seconds(20)})
                .code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(RpcServiceTest, BytesThatAreNoMessageAreInvalidArgument) {
  Start(1, 1);
  std::string out;
  EXPECT_EQ(
      CallRaw(channel_, "/palate.catalog.v1.CatalogService/GetCatalog", "\xFF\xFF", out).code(),
      absl::StatusCode::kInvalidArgument);
}

// Forwards CatalogService.
class TestProxy final : public RpcService {
 public:
  TestProxy(ChannelProvider target, absl::Duration default_timeout, ThreadPool& pool)
      : RpcService(catalog_pb::CatalogService::service_full_name(), pool),
        target_(std::move(target), catalog_pb::CatalogService::service_full_name()) {
    SetDefaultTimeout(default_timeout);
    for (const char* method :
         {"CreateCatalog", "GetCatalog", "UpdateCatalog", "ListCatalogs", "DeleteCatalog"}) {
      Forward(method, target_);
    }
    CheckComplete();
  }

 private:
  ForwardTarget target_;
};

class ForwardTest : public RpcServiceTest {
 protected:
  // After this, stub_ calls the proxy.
  void StartBoth(absl::Duration default_timeout = absl::InfiniteDuration()) {
    Start(/*threads=*/2, /*queue_limit=*/4);
    ServiceSet set;
    ThreadPool* pool = set.Own(std::make_unique<ThreadPool>("proxy", 2, 4));
    set.Add(std::make_unique<TestProxy>([this] { return channel_; }, default_timeout, *pool));
    auto proxy = Server::Start(ServerConfig(), std::move(set));
    ASSERT_TRUE(proxy.ok()) << proxy.status();
    proxy_ = *std::move(proxy);
    proxy_channel_ = DialTcp("127.0.0.1:" + std::to_string(proxy_->port()));
    stub_ = catalog_pb::CatalogService::NewStub(proxy_channel_);
  }

  std::unique_ptr<Server> proxy_;
  std::shared_ptr<grpc::Channel> proxy_channel_;
};

TEST_F(ForwardTest, PassesRequestsAndResponsesOn) {
  StartBoth();
  catalog_pb::CreateCatalogRequest request;
  request.mutable_catalog()->set_display_name(std::string(1 << 20, 'x'));
  catalog_pb::CreateCatalogResponse response;

  ASSERT_TRUE(CallUnary(stub_->async(), &Stub::CreateCatalog, request, response,
                        {.deadline = absl::Now() + absl::Seconds(20)})
                  .ok());
  EXPECT_EQ(response.catalog().display_name(), request.catalog().display_name());
}

TEST_F(ForwardTest, PassesErrorsOnWithTheirFields) {
  StartBoth();
  EXPECT_EQ(Get("throw").code(), absl::StatusCode::kInternal);
  const absl::Status refused = Get("refuse");
  ASSERT_EQ(FieldViolations(refused).size(), 1u);
  EXPECT_EQ(FieldViolations(refused)[0].field, "catalog");
}

TEST_F(ForwardTest, CancelsTheTargetWithItsCaller) {
  StartBoth();
  grpc::ClientContext context;
  catalog_pb::GetCatalogRequest request;
  request.set_catalog("block");
  catalog_pb::GetCatalogResponse response;
  StatusWaiter waiter;
  stub_->async()->GetCatalog(&context, &request, &response,
                             [&](grpc::Status status) { waiter.Set(status); });

  service_->entered.WaitForNotification();
  context.TryCancel();
  EXPECT_EQ(waiter.Wait().code(), absl::StatusCode::kCancelled);
  service_->cancelled.WaitForNotification();
}

TEST_F(ForwardTest, GivesCallsWithoutADeadlineTheDefaultOne) {
  StartBoth(absl::Milliseconds(50));
  catalog_pb::GetCatalogRequest request;
  request.set_catalog("block");
  catalog_pb::GetCatalogResponse response;
  EXPECT_EQ(CallUnary(stub_->async(), &Stub::GetCatalog, request, response, CallContext()).code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(CheckSameFieldsTest, AcceptsTheMessagesThatTheGatewayPassesOn) {
  using recommender::v1::UpsertItemsRequest;
  EXPECT_TRUE(CheckSameFields(*UpsertItemsRequest::descriptor(),
                              *featurestore::v1::UpsertItemsRequest::descriptor())
                  .ok());
}

TEST(CheckSameFieldsTest, NamesTheFirstDifference) {
  const absl::Status fields = CheckSameFields(*catalog_pb::GetCatalogRequest::descriptor(),
                                              *catalog_pb::ListCatalogsRequest::descriptor());

  EXPECT_THAT(std::string(fields.message()), HasSubstr("has 1 fields"));
  const absl::Status types = CheckSameFields(*catalog_pb::GetCatalogRequest::descriptor(),
                                             *catalog_pb::GetCatalogResponse::descriptor());
  EXPECT_THAT(std::string(types.message()),
              HasSubstr("no field like palate.catalog.v1.GetCatalogRequest.catalog"));
}

TEST_F(RpcServiceTest, DrainEndsCallsInProgressAndRefusesNewOnes) {
  Start(2, 4);
  absl::Status running_status = absl::UnknownError("");
  std::thread running([&] { running_status = Get("block"); });
  service_->entered.WaitForNotification();
  std::thread draining([&] { server_->Drain(); });
  std::string health;
  while (CallRaw(channel_, "/grpc.health.v1.Health/Check", "", health).ok() &&
         health != kNotServing)
    health.clear();

  absl::Status late;
  while (late.ok()) late = Get("late");
  EXPECT_EQ(late.code(), absl::StatusCode::kUnavailable);

  service_->release.Notify();
  draining.join();
  running.join();
  EXPECT_TRUE(running_status.ok()) << running_status;
}

TEST_F(RpcServiceTest, AddressInUseIsAnErrorAtStart) {
  Start(1, 1);
  ServerConfig config;
  config.listen = "127.0.0.1:" + std::to_string(server_->port());
  EXPECT_EQ(Server::Start(config, ServiceSet()).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace palate::services
