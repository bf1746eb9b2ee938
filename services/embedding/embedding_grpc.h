// Serves EmbeddingService with the embedding library: converts requests, calls, and converts
// results. Thread-safe.
#pragma once

#include <atomic>

#include "palate/embedding/v1/embedding_service.pb.h"
#include "services/embedding/embed_path.h"
#include "services/embedding/embed_stream.h"
#include "services/runtime/rpc_service.h"

namespace palate::services {

class EmbeddingGrpc final : public RpcService {
 public:
  // Handlers of Embed block while their call is computed, so at most `max_bulk_calls` threads of
  // `pool` serve bulk calls; further bulk calls are RESOURCE_EXHAUSTED. Short calls (DropUser,
  // GetModelInfo, GetStats) run on `quick` and do not wait behind them. Borrows everything.
  EmbeddingGrpc(EmbedPath& path, EmbedStreams& streams, int max_bulk_calls, ThreadPool& pool,
                ThreadPool& quick);

 private:
  absl::Status Embed(Call& call, const palate::embedding::v1::EmbedRequest& request,
                     palate::embedding::v1::EmbedResponse& response);
  absl::Status DropUser(Call& call, const palate::embedding::v1::DropUserRequest& request,
                        palate::embedding::v1::DropUserResponse& response);
  absl::Status GetModelInfo(Call& call, const palate::embedding::v1::GetModelInfoRequest& request,
                            palate::embedding::v1::GetModelInfoResponse& response);
  absl::Status GetStats(Call& call, const palate::embedding::v1::GetStatsRequest& request,
                        palate::embedding::v1::GetStatsResponse& response);

  EmbedPath& path_;
  EmbedStreams& streams_;
  const int max_bulk_calls_;
  std::atomic<int> bulk_calls_ = 0;
};

}  // namespace palate::services
