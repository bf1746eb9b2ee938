// Shared by the tests of the embedding service: a model that can be blocked, and a running server.
#pragma once

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "embedding/embedding_model.h"
#include "embedding/encoder.h"
#include "palate/embedding/v1/embedding_service.grpc.pb.h"
#include "services/embedding/embedding_service.h"
#include "services/runtime/client_call.h"
#include "services/runtime/server.h"
#include "tests/services/health.h"

namespace palate::services {

namespace embedding_pb = palate::embedding::v1;
using EmbeddingStub = embedding_pb::EmbeddingService::StubInterface::async_interface;

// Blocks threads in Pass() while it is closed. Thread-safe.
class Valve {
 public:
  void Set(bool open) {
    const MutexLock lock(mutex_);
    open_ = open;
    changed_.SignalAll();
  }
  void Pass() {
    const MutexLock lock(mutex_);
    while (!open_) changed_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = true;
};

// A text encoder whose batches each pass a valve. All its vectors are equal.
class ValveEncoder final : public embedding::Encoder {
 public:
  explicit ValveEncoder(std::shared_ptr<Valve> valve) : valve_(std::move(valve)) {
    info_.name = info_.family = "valve";
    info_.dimensions = 4;
    info_.pooling = "mean";
    info_.spaces = {{.name = "text", .fingerprint = "valve", .available = true, .calibration = {}}};
  }
  bool sees_images() const override { return false; }
  bool is_joint() const override { return false; }
  int64_t EstimateImage(int64_t, int64_t) const override { return 1; }
  absl::StatusOr<embedding::EncoderImage> PrepareImage(const models::Image&) const override {
    return absl::InvalidArgumentError("reads no images");
  }
  absl::StatusOr<embedding::PreparedPass> Prepare(
      const embedding::PassContent& content) const override {
    embedding::PreparedPass pass;
    pass.ids = {static_cast<int64_t>(content.text.size())};
    pass.tokens = 1;
    return pass;
  }
  absl::StatusOr<at::Tensor> Encode(
      absl::Span<const embedding::PreparedPass* const> passes) const override {
    valve_->Pass();
    at::Tensor vectors = at::zeros({static_cast<int64_t>(passes.size()), info_.dimensions});
    vectors.select(1, 0).fill_(1);
    return vectors;
  }

 private:
  const std::shared_ptr<Valve> valve_;
};

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
