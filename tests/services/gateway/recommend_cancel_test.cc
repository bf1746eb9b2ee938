// Cancelling a request stops the work that was started for it, in other services and on other
// threads of the gateway.
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "absl/synchronization/notification.h"
#include "base/call_context.h"
#include "base/clock.h"
#include "palate/embedding/v1/embedding_service.pb.h"
#include "palate/recommender/v1/recommender_service.grpc.pb.h"
#include "pipeline/recommender.h"
#include "services/clients/embedding_client.h"
#include "services/gateway/recommender_grpc.h"
#include "services/runtime/client_call.h"
#include "services/runtime/rpc_service.h"
#include "services/runtime/server.h"
#include "tests/fakes/fake_pipeline_parts.h"

namespace palate::services {
namespace {

namespace embedding_pb = palate::embedding::v1;
namespace pb = palate::recommender::v1;
using Stub = pb::RecommenderService::StubInterface::async_interface;

// Embed runs until its call is cancelled.
class EndlessEmbedding final : public RpcService {
 public:
  explicit EndlessEmbedding(ThreadPool& pool)
      : RpcService("palate.embedding.v1.EmbeddingService", pool) {
    Unary("Embed", this, &EndlessEmbedding::Embed);
  }

  absl::Notification entered, cancelled;

 private:
  absl::Status Embed(Call& call, const embedding_pb::EmbedRequest&, embedding_pb::EmbedResponse&) {
    const CancelRegistration registration = call.context().OnCancel([this] { cancelled.Notify(); });
    entered.Notify();
    cancelled.WaitForNotification();
    return call.Check();
  }
};

class RecommendCancelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // No time limit may end a step of the request before its cancellation.
    pipeline::PipelineOptions options;
    options.source_budget = absl::Minutes(5);

    ServiceSet set;
    ThreadPool* pool = set.Own(std::make_unique<ThreadPool>("test", 4, 16));
    embedding_ = set.Add(std::make_unique<EndlessEmbedding>(*pool));

    const ChannelProvider channel = [this] { return server_->InProcessChannel(); };
    auto* embedder = set.Own(std::make_unique<EmbeddingClient>(channel));
    auto* recommender = set.Own(std::make_unique<pipeline::Recommender>(
        pipeline::RecommenderParts{features_, *embedder, retriever_, ranker_}, clock_, options));
    set.Add(std::make_unique<RecommenderGrpc>(*recommender, channel, absl::Minutes(5), *pool));

    auto server = Server::Start(ServerConfig(), std::move(set));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = pb::RecommenderService::NewStub(server_->InProcessChannel());
  }

  pipeline::FakeFeatures features_;
  pipeline::FakeRetriever retriever_{features_};
  pipeline::FakeRanker ranker_;
  SystemClock clock_;
  EndlessEmbedding* embedding_ = nullptr;
  std::unique_ptr<Server> server_;
  std::unique_ptr<pb::RecommenderService::Stub> stub_;
};

TEST_F(RecommendCancelTest, CallerThatGoesAwayStopsTheEmbeddingOfItsQuery) {
  pb::RecommendRequest request;
  request.set_catalog("shop");
  request.set_num_results(3);
  request.mutable_query()->set_text("a lamp");
  pb::RecommendResponse response;

  const auto cancellation = std::make_shared<Cancellation>();
  absl::Status status;
  std::thread caller([&] {
    status = CallUnary(stub_->async(), &Stub::Recommend, request, response,
                       {.cancellation = cancellation});
  });

  embedding_->entered.WaitForNotification();

  cancellation->Cancel();

  EXPECT_TRUE(embedding_->cancelled.WaitForNotificationWithTimeout(absl::Seconds(60)));
  caller.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
}

}  // namespace
}  // namespace palate::services
