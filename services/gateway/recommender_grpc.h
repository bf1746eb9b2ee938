// Serves RecommenderService with the pipeline, and forwards writes and user calls to the feature
// store.
//
// Thread-safe. Borrows everything. Handlers convert and call; the pipeline runs on `pool`.
#pragma once

#include "palate/featurestore/v1/feature_store_service.grpc.pb.h"
#include "palate/recommender/v1/recommender_service.grpc.pb.h"
#include "pipeline/recommender.h"
#include "services/runtime/channel.h"
#include "services/runtime/forward.h"
#include "services/runtime/rpc_service.h"

namespace palate::services {

class RecommenderGrpc final : public RpcService {
 public:
  // `store` is a channel to the feature store. Calls without a deadline end after
  // `default_timeout`, except PurgeUser.
  RecommenderGrpc(const pipeline::Recommender& recommender, ChannelProvider store,
                  absl::Duration default_timeout, ThreadPool& pool);

 private:
  absl::Status Recommend(Call& call, const palate::recommender::v1::RecommendRequest& request,
                         palate::recommender::v1::RecommendResponse& response);
  absl::Status RecommendStream(
      Call& call, const palate::recommender::v1::RecommendStreamRequest& request,
      ResponseWriter<palate::recommender::v1::RecommendStreamResponse>& writer);
  absl::Status Search(Call& call, const palate::recommender::v1::SearchRequest& request,
                      palate::recommender::v1::SearchResponse& response);
  absl::Status SimilarItems(Call& call, const palate::recommender::v1::SimilarItemsRequest& request,
                            palate::recommender::v1::SimilarItemsResponse& response);
  absl::Status Rank(Call& call, const palate::recommender::v1::RankRequest& request,
                    palate::recommender::v1::RankResponse& response);
  absl::Status GetUser(Call& call, const palate::recommender::v1::GetUserRequest& request,
                       palate::recommender::v1::GetUserResponse& response);

  const pipeline::Recommender& recommender_;
  LazyStub<palate::featurestore::v1::FeatureStoreService> store_;
  ForwardTarget writes_;  // the feature store, for forwarded calls
};

}  // namespace palate::services
