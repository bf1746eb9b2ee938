// Between RecommenderService's messages and the pipeline's requests and results.
//
// FromProto checks what only the message can get wrong; limits are the pipeline's to check. Errors are InvalidField with paths in the
// request.
#pragma once

#include "absl/status/statusor.h"
#include "palate/recommender/v1/recommender_service.pb.h"
#include "pipeline/request.h"

namespace palate::services {

namespace recommender_pb = palate::recommender::v1;

absl::StatusOr<pipeline::RecommendQuery> FromProto(const recommender_pb::RecommendRequest& request);
absl::StatusOr<pipeline::SearchQuery> FromProto(const recommender_pb::SearchRequest& request);
absl::StatusOr<pipeline::SimilarQuery> FromProto(const recommender_pb::SimilarItemsRequest& request);
absl::StatusOr<pipeline::RankQuery> FromProto(const recommender_pb::RankRequest& request);

recommender_pb::RecommendResponse ToRecommendResponse(const pipeline::RecommendResult& result);
recommender_pb::SearchResponse ToSearchResponse(const pipeline::RecommendResult& result);
recommender_pb::SimilarItemsResponse ToSimilarItemsResponse(const pipeline::RecommendResult& result);
recommender_pb::RankResponse ToRankResponse(const pipeline::RecommendResult& result);
recommender_pb::StageReport ToProto(const pipeline::StageReport& report);

// The other direction, for clients of ours.
recommender_pb::RecommendRequest ToProto(const pipeline::RecommendQuery& query);
absl::StatusOr<pipeline::RecommendResult> FromProto(const recommender_pb::RecommendResponse& response);

}  // namespace palate::services
