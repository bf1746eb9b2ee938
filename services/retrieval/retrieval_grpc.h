// Serves RetrievalService with the retrieval library: converts requests, calls, and converts
// results. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "palate/retrieval/v1/retrieval_service.pb.h"
#include "retrieval/follower.h"
#include "retrieval/index_set.h"
#include "services/runtime/rpc_service.h"

namespace palate::services {

class RetrievalGrpc final : public RpcService {
 public:
  // Borrows everything. Conversions run on `pool`, searches on the index set's pool.
  RetrievalGrpc(retrieval::IndexSet& indexes, const retrieval::Follower& follower,
                ThreadPool& pool);

 private:
  absl::Status Search(Call& call, const palate::retrieval::v1::SearchRequest& request,
                      palate::retrieval::v1::SearchResponse& response);
  absl::Status GetStats(Call& call, const palate::retrieval::v1::GetStatsRequest& request,
                        palate::retrieval::v1::GetStatsResponse& response);
  absl::Status Snapshot(Call& call, const palate::retrieval::v1::SnapshotRequest& request,
                        palate::retrieval::v1::SnapshotResponse& response);

  // NotFound for an unknown catalog; Unavailable while catalogs may still be missing.
  absl::StatusOr<std::shared_ptr<retrieval::CatalogIndex>> FindIndex(
      const std::string& catalog) const;

  retrieval::IndexSet& indexes_;
  const retrieval::Follower& follower_;
};

}  // namespace palate::services
