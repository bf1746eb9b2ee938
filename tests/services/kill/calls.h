// Blocking calls of a product backend to the services, with the deadline of the kill test.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "palate/catalog/v1/catalog_service.grpc.pb.h"
#include "palate/embedding/v1/embedding_service.grpc.pb.h"
#include "palate/featurestore/v1/feature_store_service.grpc.pb.h"
#include "palate/recommender/v1/recommender_service.grpc.pb.h"
#include "palate/retrieval/v1/retrieval_service.grpc.pb.h"
#include "services/runtime/client_call.h"
#include "tests/services/kill/servers.h"

namespace palate::services {

namespace store_pb = palate::featurestore::v1;
namespace gateway_pb = palate::recommender::v1;
namespace index_pb = palate::retrieval::v1;
namespace declare_pb = palate::catalog::v1;
namespace vectors_pb = palate::embedding::v1;

inline constexpr char kKilledCatalog[] = "killed";
// Before a call that was interrupted is sent again.
inline constexpr absl::Duration kRetryPause = absl::Milliseconds(10);

// Thread-safe. A call that a kill ends is UNAVAILABLE at once; the deadline is for a service that
// hangs.
class Calls {
 public:
  explicit Calls(const Servers& servers)
      : gateway_(gateway_pb::RecommenderService::NewStub(servers.gateway())),
        catalogs_(declare_pb::CatalogService::NewStub(servers.gateway())),
        store_(store_pb::FeatureStoreService::NewStub(servers.channel("featurestore"))),
        index_(index_pb::RetrievalService::NewStub(servers.channel("retrieval"))),
        vectors_(vectors_pb::EmbeddingService::NewStub(servers.channel("embedding"))) {}

  // The method belongs to the service that its class names.
  template <typename Interface, typename Request, typename Response>
  absl::Status operator()(void (Interface::*method)(grpc::ClientContext*, const Request*, Response*,
                                                    std::function<void(grpc::Status)>),
                          const Request& request, Response& response) {
    return CallUnary(Async(static_cast<Interface*>(nullptr)), method, request, response,
                     {.deadline = absl::Now() + absl::Seconds(60)});
  }

  using Gateway = gateway_pb::RecommenderService::StubInterface::async_interface;
  using Catalogs = declare_pb::CatalogService::StubInterface::async_interface;
  using Store = store_pb::FeatureStoreService::StubInterface::async_interface;
  using Index = index_pb::RetrievalService::StubInterface::async_interface;
  using Vectors = vectors_pb::EmbeddingService::StubInterface::async_interface;

 private:
  Gateway* Async(Gateway*) { return gateway_->async(); }
  Catalogs* Async(Catalogs*) { return catalogs_->async(); }
  Store* Async(Store*) { return store_->async(); }
  Index* Async(Index*) { return index_->async(); }
  Vectors* Async(Vectors*) { return vectors_->async(); }

  std::unique_ptr<gateway_pb::RecommenderService::StubInterface> gateway_;
  std::unique_ptr<declare_pb::CatalogService::StubInterface> catalogs_;
  std::unique_ptr<store_pb::FeatureStoreService::StubInterface> store_;
  std::unique_ptr<index_pb::RetrievalService::StubInterface> index_;
  std::unique_ptr<vectors_pb::EmbeddingService::StubInterface> vectors_;
};

// What a process that was killed leaves of a call: nobody knows whether it happened.
inline bool IsInterrupted(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsCancelled(status);
}

// Repeats `send` while it is interrupted, and notes in `repeated` that it may have happened before.
// False if it is given up, because of `stop` or of another error, which fails the test.
inline bool SendUntilAcknowledged(const std::function<absl::Status()>& send, bool& repeated,
                                  const std::atomic<bool>& stop) {
  while (true) {
    const absl::Status status = send();
    if (status.ok()) return true;
    repeated = true;
    EXPECT_TRUE(IsInterrupted(status)) << status;
    if (stop || !IsInterrupted(status)) return false;
    absl::SleepFor(kRetryPause);
  }
}

}  // namespace palate::services
