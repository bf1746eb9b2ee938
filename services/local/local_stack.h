// All five services in one process, over one folder of data and one gRPC server: the same code as
// the five binaries, no ports needed.
//
// Used by `palate serve`, by client commands with --data-dir, by the demo and by tests.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/embedding/embedding_service.h"
#include "services/featurestore/feature_store_service.h"
#include "services/gateway/gateway_service.h"
#include "services/ranking/ranking_service.h"
#include "services/retrieval/retrieval_service.h"
#include "services/runtime/server.h"

namespace palate::services {

// The configuration of every part. Addresses of parts are not used: they are all here.
struct StackConfig {
  // Folder of the data: the store is in <data_dir>/store, index snapshots in <data_dir>/index, the
  // cache of item vectors in <data_dir>/embedding-cache, unless their own keys say otherwise.
  std::string data_dir;
  ServerConfig server;
  GatewayConfig gateway;
  EmbeddingConfig embedding;
  RetrievalConfig retrieval;
  RankingConfig ranking;
  FeatureStoreConfig feature_store;

  void Bind(Config& config);
};

// InvalidArgument when no folder for the data is given; FailedPrecondition when another process has
// it open.
absl::StatusOr<ServiceSet> MakeStackServices(const StackConfig& config);

// Thread-safe after Open.
class LocalStack {
 public:
  // Over `data_dir`, with the keys of the file `config_path` and the environment. `listen` is an
  // address to serve on too; empty: none, whatever the configuration says.
  static absl::StatusOr<std::unique_ptr<LocalStack>> Open(const std::string& data_dir,
                                                          const std::string& config_path = "",
                                                          const std::string& listen = "");
  static absl::StatusOr<std::unique_ptr<LocalStack>> Start(const StackConfig& config);

  // To every service. Must not be used after the stack is gone.
  std::shared_ptr<grpc::Channel> channel() const { return channel_; }
  // 0 when it does not listen.
  int port() const { return server_->port(); }

 private:
  explicit LocalStack(std::unique_ptr<Server> server)
      : server_(std::move(server)), channel_(server_->InProcessChannel()) {}

  const std::unique_ptr<Server> server_;
  const std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace palate::services
