// Serves RankingService with the ranking library: converts requests, calls, and converts results.
// Thread-safe.
#pragma once

#include "palate/ranking/v1/ranking_service.pb.h"
#include "ranking/ranker.h"
#include "services/runtime/rpc_service.h"

namespace palate::services {

class RankingGrpc final : public RpcService {
 public:
  // Borrows both. Handlers block threads of `pool` while the model computes.
  RankingGrpc(const ranking::Ranker& ranker, ThreadPool& pool);

 private:
  absl::Status Rank(Call& call, const palate::ranking::v1::RankRequest& request,
                    palate::ranking::v1::RankResponse& response);
  absl::Status Explain(Call& call, const palate::ranking::v1::ExplainRequest& request,
                       ResponseWriter<palate::ranking::v1::ExplainResponse>& writer);
  absl::Status GetModelInfo(Call& call, const palate::ranking::v1::GetModelInfoRequest& request,
                            palate::ranking::v1::GetModelInfoResponse& response);

  const ranking::Ranker& ranker_;
};

}  // namespace palate::services
