// A published reranker behind RankingService: pairs scored by gRPC calls.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "base/status.h"
#include "palate/ranking/v1/ranking_service.grpc.pb.h"
#include "services/ranking/ranking_service.h"
#include "services/runtime/client_call.h"
#include "services/runtime/server.h"
#include "tests/eventually.h"
#include "tests/models/golden.h"
#include "tests/services/health.h"

namespace palate::services {
namespace {

namespace pb = palate::ranking::v1;
using Stub = pb::RankingService::StubInterface::async_interface;
using ::testing::HasSubstr;

class RerankerServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PALATE_SKIP_WITHOUT(golden_);
    config_.models = {{"judge", golden_.checkpoint()}};
    config_.default_model = "judge";
    Start();
  }

  void Start() {
    server_.reset();
    auto services = MakeRankingServices(config_);
    ASSERT_TRUE(services.ok()) << services.status();

    ServerConfig server;
    server.listen = "";
    auto started = Server::Start(server, *std::move(services));
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);

    channel_ = server_->InProcessChannel();
    stub_ = pb::RankingService::NewStub(channel_);
  }

  absl::StatusOr<pb::RankResponse> Rank(const pb::RankRequest& request) {
    pb::RankResponse response;
    PALATE_RETURN_IF_ERROR(CallUnary(stub_->async(), &Stub::Rank, request, response,
                                     {.deadline = absl::Now() + absl::Seconds(60)}));
    return response;
  }

  static pb::RankRequest Request(const std::string& query,
                                 const std::vector<std::string>& documents) {
    pb::RankRequest request;
    request.mutable_query()->set_text(query);
    for (const std::string& document : documents) request.add_documents()->set_text(document);
    return request;
  }

  absl::Status StatusOf(const pb::RankRequest& request) { return Rank(request).status(); }

  const models::Golden golden_{"qwen3-gqa"};
  RankingConfig config_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<pb::RankingService::Stub> stub_;
};

TEST_F(RerankerServiceTest, ScoresPairsAsTheReferenceDoes) {
  const auto inputs = golden_.inputs()["rerank"];
  const auto cases = golden_.expected()["rerank"]["cases"];
  for (size_t i = 0; i < inputs.size(); ++i) {
    pb::RankRequest request =
        Request(inputs[i]["query"], {inputs[i]["document"], "something else"});
    request.set_instruction(inputs[i]["instruction"].get<std::string>());
    request.set_mode(pb::RANK_MODE_POINTWISE);

    const auto response = Rank(request);
    ASSERT_TRUE(response.ok()) << response.status();

    ASSERT_EQ(response->relevance_size(), 2);
    EXPECT_NEAR(response->relevance(0), cases[i]["score"].get<float>(), 1e-5);
    EXPECT_NEAR(response->relevance(1), 1 / (1 + std::exp(-response->scores(1))), 1e-6);
    EXPECT_EQ(response->model_fingerprint().size(), 16u);
  }
}

TEST_F(RerankerServiceTest, ADocumentFailsAloneWithItsField) {
  pb::RankRequest request = Request("q", {"good", "with a picture", "good too"});
  request.mutable_documents(1)->add_images("not read by this model");

  const auto response = Rank(request);
  ASSERT_TRUE(response.ok()) << response.status();

  ASSERT_EQ(response->failures_size(), 1);
  EXPECT_EQ(response->failures(0).index(), 1);
  EXPECT_THAT(response->failures(0).status().message(), HasSubstr("documents[1].images"));
  EXPECT_TRUE(std::isnan(response->scores(1)));
  EXPECT_TRUE(std::isfinite(response->scores(0)) && std::isfinite(response->scores(2)));
}

TEST_F(RerankerServiceTest, RefusesWrongRequestsByField) {
  const auto field = [&](const pb::RankRequest& request) {
    const std::vector<FieldViolation> violations = FieldViolations(StatusOf(request));
    return violations.empty() ? std::string() : violations[0].field;
  };

  EXPECT_EQ(field(Request("q", {})), "candidates");
  pb::RankRequest both = Request("q", {"d"});
  both.add_candidates()->set_item_id("a");
  EXPECT_EQ(field(both), "candidates");

  EXPECT_EQ(field(Request("q", std::vector<std::string>(501, "d"))), "documents");
  EXPECT_EQ(field(Request(std::string(300'000, 'x'), {"d"})), "query.text");
  EXPECT_EQ(field(Request("q", {"d", std::string(300'000, 'x')})), "documents[1].text");

  pb::RankRequest listwise = Request("q", {"d"});
  listwise.set_mode(pb::RANK_MODE_LISTWISE);
  EXPECT_EQ(field(listwise), "mode");
  listwise.set_mode(static_cast<pb::RankMode>(7));
  EXPECT_EQ(field(listwise), "mode");
}

TEST_F(RerankerServiceTest, SaysWhatTheModelIs) {
  pb::GetModelInfoResponse info;
  ASSERT_TRUE(CallUnary(stub_->async(), &Stub::GetModelInfo, {}, info,
                        {.deadline = absl::Now() + absl::Seconds(20)})
                  .ok());
  ASSERT_EQ(info.models_size(), 1);
  EXPECT_EQ(info.models(0).mode(), pb::RANK_MODE_POINTWISE);
  EXPECT_FALSE(info.models(0).reads_images());
  EXPECT_EQ(info.models(0).max_prompt_tokens(), 4096);
}

// Every step of the model counts as stuck here, so requests without a pause keep the health red.
TEST_F(RerankerServiceTest, HealthIsRedWhileTheModelIsStuckAndGreenAgainAfterwards) {
  config_.reranker.stuck_after = absl::ZeroDuration();
  Start();
  const std::string service = "palate.ranking.v1.RankingService";
  const auto healthy = [&] { return Serves(channel_, "") && Serves(channel_, service); };
  const auto red = [&] { return !Serves(channel_, "") && !Serves(channel_, service); };
  EXPECT_TRUE(Eventually(healthy));

  std::atomic<bool> stop = false;
  std::thread caller([&] {
    const pb::RankRequest request = Request("q", std::vector<std::string>(100, "a document"));
    while (!stop) EXPECT_TRUE(Rank(request).ok());
  });
  EXPECT_TRUE(Eventually(red));
  stop = true;
  caller.join();
  EXPECT_TRUE(Eventually(healthy));
}

TEST(RerankerConfigTest, RefusesModesThatNameNoModelOrNoMode) {
  RankingConfig config;
  config.models = {{"judge", "/absent"}};
  config.default_model = "judge";
  config.model_modes = {{"other", "pointwise"}};
  EXPECT_EQ(FieldViolations(MakeRankingServices(config).status())[0].field, "ranking.model_modes");
  config.model_modes = {{"judge", "sideways"}};
  EXPECT_EQ(FieldViolations(MakeRankingServices(config).status())[0].field, "ranking.model_modes");
  config.model_modes = {{"judge", "pointwise"}};
  EXPECT_EQ(MakeRankingServices(config).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace palate::services
