// All five services in one process, with one data folder and one gRPC server: the same code as the
// five binaries, without ports.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<LocalStack> stack,
//                           LocalStack::Open(data_dir, config_path, "127.0.0.1:0"));
//   const std::string address = absl::StrCat("127.0.0.1:", stack->port());
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

// The configuration of all services. Their addresses are not used.
struct StackConfig {
  // Data folder: the store is in <data_dir>/store, index snapshots are in <data_dir>/index, and the
  // cache of item vectors is in <data_dir>/embedding-cache, unless their own keys are set.
  std::string data_dir;
  ServerConfig server;
  GatewayConfig gateway;
  EmbeddingConfig embedding;
  RetrievalConfig retrieval;
  RankingConfig ranking;
  FeatureStoreConfig feature_store;

  void Bind(Config& config);
};

// InvalidArgument when no data folder is set; FailedPrecondition when another process has it open.
absl::StatusOr<ServiceSet> MakeStackServices(const StackConfig& config);

// Thread-safe after Open.
class LocalStack {
 public:
  // Starts all services over `data_dir`, configured by the file `config_path` and the environment.
  // `listen` is an address to serve on as well; empty means none. Both override the configuration.
  static absl::StatusOr<std::unique_ptr<LocalStack>> Open(const std::string& data_dir,
                                                          const std::string& config_path = "",
                                                          const std::string& listen = "");
  static absl::StatusOr<std::unique_ptr<LocalStack>> Start(const StackConfig& config);

  // A channel to all services. Must not be used after the stack was destroyed.
  std::shared_ptr<grpc::Channel> channel() const { return channel_; }
  // The port of `listen`; 0 when it is empty.
  int port() const { return server_->port(); }

 private:
  explicit LocalStack(std::unique_ptr<Server> server)
      : server_(std::move(server)), channel_(server_->InProcessChannel()) {}

  const std::unique_ptr<Server> server_;
  const std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace palate::services
