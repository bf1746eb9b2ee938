// EmbeddingService as the pipeline and the embedding worker need it. Thread-safe; calls block the
// calling thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/call_context.h"
#include "featurestore/embedding_worker.h"
#include "palate/embedding/v1/embedding_service.grpc.pb.h"
#include "pipeline/interfaces.h"
#include "services/runtime/channel.h"

namespace palate::services {

// Queries, on the interactive lane.
class EmbeddingClient final : public pipeline::QueryEmbedder {
 public:
  explicit EmbeddingClient(ChannelProvider channel) : stub_(std::move(channel)) {}

  absl::StatusOr<std::vector<pipeline::QueryVector>> Embed(const pipeline::EmbedQuery& query,
                                                           const CallContext& context) override;

 private:
  LazyStub<palate::embedding::v1::EmbeddingService> stub_;
};

// Items, on the bulk lane.
class ItemEmbedderClient final : public featurestore::ItemEmbedder {
 public:
  // `call_timeout` bounds one call; a call that takes longer is tried again by the worker.
  ItemEmbedderClient(ChannelProvider channel, absl::Duration call_timeout)
      : stub_(std::move(channel)), call_timeout_(call_timeout) {}

  absl::StatusOr<std::vector<SpaceKey>> Spaces(const Catalog& catalog) override;
  absl::StatusOr<std::vector<absl::StatusOr<std::vector<SpaceVector>>>> Embed(
      const Catalog& catalog, const std::vector<featurestore::EmbedItem>& items) override;

  // Makes the call in progress, and every later one, end with Cancelled soon. From any thread.
  void Cancel() { cancellation_->Cancel(); }

 private:
  CallContext NewContext() const { return {absl::Now() + call_timeout_, cancellation_}; }

  using Results = std::vector<std::vector<SpaceVector>>;
  // The items' vectors in the spaces `names`, which share a model and dimensions, added to
  // `results`; failures to `failures`.
  absl::Status EmbedGroup(const std::string& catalog, const SpaceDeclaration& group,
                          const std::vector<std::string>& names,
                          const std::vector<featurestore::EmbedItem>& items, Results& results,
                          std::map<size_t, absl::Status>& failures);

  LazyStub<palate::embedding::v1::EmbeddingService> stub_;
  const absl::Duration call_timeout_;
  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
};

// What the embedding service remembers of users.
class QueryVectorsClient {
 public:
  explicit QueryVectorsClient(ChannelProvider channel) : stub_(std::move(channel)) {}

  absl::Status DropUser(const std::string& catalog, const std::string& user_id,
                        const CallContext& context);

 private:
  LazyStub<palate::embedding::v1::EmbeddingService> stub_;
};

}  // namespace palate::services
