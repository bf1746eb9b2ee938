// Clients of EmbeddingService for the pipeline and for the feature store. Thread-safe; calls block.
//
// Usage:
//   EmbeddingClient embedder(TcpChannel(address));
//   pipeline::EmbedQuery query;
//   query.text = "a red lamp";
//   PALATE_ASSIGN_OR_RETURN(const std::vector<pipeline::QueryVector> vectors,
//                           embedder.Embed(query, context));
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

// Embeds queries, on the interactive lane.
class EmbeddingClient final : public pipeline::QueryEmbedder {
 public:
  explicit EmbeddingClient(ChannelProvider channel) : stub_(std::move(channel)) {}

  absl::StatusOr<std::vector<pipeline::QueryVector>> Embed(const pipeline::EmbedQuery& query,
                                                           const CallContext& context) override;

 private:
  LazyStub<palate::embedding::v1::EmbeddingService> stub_;
};

// Embeds items, on the bulk lane.
class ItemEmbedderClient final : public featurestore::ItemEmbedder {
 public:
  // `call_timeout` limits one call; the worker retries calls that take longer.
  ItemEmbedderClient(ChannelProvider channel, absl::Duration call_timeout)
      : stub_(std::move(channel)), call_timeout_(call_timeout) {}

  absl::StatusOr<std::vector<SpaceKey>> Spaces(const Catalog& catalog) override;
  absl::StatusOr<std::vector<absl::StatusOr<featurestore::EmbeddedItem>>> Embed(
      const Catalog& catalog, const std::vector<featurestore::EmbedItem>& items) override;
  absl::StatusOr<std::vector<std::vector<SpaceVector>>> EmbedFor(
      const Catalog& catalog, const std::vector<SpaceKey>& spaces,
      const std::vector<featurestore::EmbedItem>& items) override;

  // Ends the call in progress and every later one with Cancelled. May be called from any thread.
  void Cancel() { cancellation_->Cancel(); }

 private:
  CallContext NewContext() const { return {absl::Now() + call_timeout_, cancellation_}; }

  using Results = std::vector<featurestore::EmbeddedItem>;
  // Adds the items' vectors in the spaces `names`, which share a model and dimensions, and failed
  // parts to `results`, and failed items to `failures`.
  absl::Status EmbedGroup(const std::string& catalog, const SpaceDeclaration& group,
                          const std::vector<std::string>& names,
                          const std::vector<featurestore::EmbedItem>& items, Results& results,
                          std::map<size_t, absl::Status>& failures);

  LazyStub<palate::embedding::v1::EmbeddingService> stub_;
  const absl::Duration call_timeout_;
  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
};

// Drops the vectors that the embedding service caches for users.
class QueryVectorsClient {
 public:
  explicit QueryVectorsClient(ChannelProvider channel) : stub_(std::move(channel)) {}

  absl::Status DropUser(const std::string& catalog, const std::string& user_id,
                        const CallContext& context);

 private:
  LazyStub<palate::embedding::v1::EmbeddingService> stub_;
};

}  // namespace palate::services
