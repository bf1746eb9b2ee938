// Shared by the tests of the embedding service: a model that can be blocked, and a running server.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "embedding/embedding_model.h"
#include "palate/embedding/v1/embedding_service.grpc.pb.h"
#include "services/embedding/embedding_service.h"
#include "services/runtime/client_call.h"
#include "services/runtime/server.h"
#include "tests/fakes/valve_encoder.h"
#include "tests/services/health.h"

namespace palate::services {

namespace embedding_pb = palate::embedding::v1;
using EmbeddingStub = embedding_pb::EmbeddingService::StubInterface::async_interface;

// A server with only the embedding service, reached by an in-process channel.
class EmbeddingServer {
 public:
  EmbeddingServer(const EmbeddingConfig& config, const EmbeddingModels& models) {
    auto services = MakeEmbeddingServices(config, models);
    EXPECT_TRUE(services.ok()) << services.status();
    if (!services.ok()) return;

    ServerConfig server;
    server.listen = "";
    auto started = Server::Start(server, *std::move(services));
    EXPECT_TRUE(started.ok()) << started.status();
    if (!started.ok()) return;
    server_ = *std::move(started);
    channel_ = server_->InProcessChannel();
    stub_ = embedding_pb::EmbeddingService::NewStub(channel_);
  }

  Server& server() { return *server_; }
  embedding_pb::EmbeddingService::Stub& stub() { return *stub_; }

  absl::Status Embed(const embedding_pb::EmbedRequest& request,
                     embedding_pb::EmbedResponse& response,
                     absl::Duration timeout = absl::Seconds(60)) {
    return CallUnary(stub_->async(), &EmbeddingStub::Embed, request, response,
                     {.deadline = absl::Now() + timeout});
  }

  embedding_pb::GetStatsResponse Stats() {
    embedding_pb::GetStatsResponse response;
    const absl::Status status =
        CallUnary(stub_->async(), &EmbeddingStub::GetStats, embedding_pb::GetStatsRequest(),
                  response, {.deadline = absl::Now() + absl::Seconds(60)});
    EXPECT_TRUE(status.ok()) << status;
    return response;
  }

  // Whether the health of `service` is SERVING; "" is the server.
  bool Serves(const std::string& service) { return services::Serves(channel_, service); }

 private:
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<embedding_pb::EmbeddingService::Stub> stub_;
};

// One text as an item's input.
inline embedding_pb::EmbedInput TextInput(const std::string& text) {
  embedding_pb::EmbedInput input;
  input.add_fields(text);
  return input;
}

}  // namespace palate::services
