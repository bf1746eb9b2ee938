// RetrievalService over the retrieval library: converts, calls, converts.
#pragma once

#include "palate/retrieval/v1/retrieval_service.pb.h"
#include "retrieval/follower.h"
#include "retrieval/index_set.h"
#include "services/runtime/rpc_service.h"

namespace palate::services {

class RetrievalGrpc final : public RpcService {
 public:
  // Borrows everything. `pool` converts; the searches themselves run on the index set's own pool.
  RetrievalGrpc(retrieval::IndexSet& indexes, const retrieval::Follower& follower, ThreadPool& pool);

 private:
  absl::Status Search(Call& call, const palate::retrieval::v1::SearchRequest& request, palate::retrieval::v1::SearchResponse& response);
  absl::Status GetStats(Call& call, const palate::retrieval::v1::GetStatsRequest& request,
                        palate::retrieval::v1::GetStatsResponse& response);
  absl::Status Snapshot(Call& call, const palate::retrieval::v1::SnapshotRequest& request,
                        palate::retrieval::v1::SnapshotResponse& response);

  // What the library is asked for one query.
  absl::StatusOr<retrieval::SearchRequest> Convert(const Call& call, const retrieval::CatalogIndex& index,
                                                   const palate::retrieval::v1::SearchQuery& query) const;

  retrieval::IndexSet& indexes_;
  const retrieval::Follower& follower_;
};

}  // namespace palate::services
