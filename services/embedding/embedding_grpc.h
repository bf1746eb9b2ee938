// EmbeddingService over the embedding library: converts, calls, converts.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "embedding/embedder.h"
#include "palate/embedding/v1/embedding_service.pb.h"
#include "services/runtime/rpc_service.h"

namespace palate::services {

class EmbeddingGrpc final : public RpcService {
 public:
  // `embedders` by the configured name of their model; `default_model` is one of them. Handlers block while their call is computed, so at
  // most `max_bulk_calls` of the pool's threads serve bulk calls; one more is RESOURCE_EXHAUSTED. Borrows the pool and the embedders.
  EmbeddingGrpc(std::map<std::string, embedding::Embedder*> embedders, std::string default_model, int max_bulk_calls, ThreadPool& pool);

 private:
  absl::Status Embed(Call& call, const palate::embedding::v1::EmbedRequest& request, palate::embedding::v1::EmbedResponse& response);
  absl::Status GetModelInfo(Call& call, const palate::embedding::v1::GetModelInfoRequest& request,
                            palate::embedding::v1::GetModelInfoResponse& response);

  // The named model's embedder, or the default one's. NotFound names the models that there are.
  absl::StatusOr<embedding::Embedder*> Find(const std::string& model) const;

  const std::map<std::string, embedding::Embedder*> embedders_;
  const std::string default_model_;
  const int max_bulk_calls_;
  std::atomic<int> bulk_calls_ = 0;
};

}  // namespace palate::services
