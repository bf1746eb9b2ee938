// Converts between RecommenderService's messages and the pipeline's requests and results (see
// services/convert/types_convert.h).
//
#pragma once

#include "absl/status/statusor.h"
#include "palate/recommender/v1/recommender_service.pb.h"
#include "pipeline/request.h"
#include "services/convert/types_convert.h"

namespace palate::services {

namespace recommender_pb = palate::recommender::v1;

// An unset mode means no explanations.
types_pb::ExplainMode ToProto(pipeline::ExplainMode value);
absl::StatusOr<pipeline::ExplainMode> FromProto(types_pb::ExplainMode value);
recommender_pb::CandidateSource ToProto(pipeline::Source value);
absl::StatusOr<pipeline::Source> FromProto(recommender_pb::CandidateSource value);
recommender_pb::Stage ToProto(pipeline::StageId value);
absl::StatusOr<pipeline::StageId> FromProto(recommender_pb::Stage value);
recommender_pb::StageStatus ToProto(pipeline::StageOutcome value);
absl::StatusOr<pipeline::StageOutcome> FromProto(recommender_pb::StageStatus value);
recommender_pb::Degradation ToProto(pipeline::Degradation value);
absl::StatusOr<pipeline::Degradation> FromProto(recommender_pb::Degradation value);

recommender_pb::Diversity ToProto(const pipeline::Diversity& diversity);
absl::StatusOr<pipeline::Diversity> FromProto(const recommender_pb::Diversity& diversity);
recommender_pb::Query ToProto(const pipeline::SearchInput& input);
pipeline::SearchInput FromProto(const recommender_pb::Query& query);
recommender_pb::Reason ToProto(const pipeline::Reason& reason);
absl::StatusOr<pipeline::Reason> FromProto(const recommender_pb::Reason& reason);
recommender_pb::RankedItem ToProto(const pipeline::ResultItem& item);
absl::StatusOr<pipeline::ResultItem> FromProto(const recommender_pb::RankedItem& item);
recommender_pb::StageNote ToProto(const pipeline::StageNote& note);
absl::StatusOr<pipeline::StageNote> FromProto(const recommender_pb::StageNote& note);
recommender_pb::StageReport ToProto(const pipeline::StageReport& report);
absl::StatusOr<pipeline::StageReport> FromProto(const recommender_pb::StageReport& report);

absl::StatusOr<pipeline::RecommendQuery> FromProto(const recommender_pb::RecommendRequest& request);
absl::StatusOr<pipeline::SearchQuery> FromProto(const recommender_pb::SearchRequest& request);
absl::StatusOr<pipeline::SimilarQuery> FromProto(
    const recommender_pb::SimilarItemsRequest& request);
absl::StatusOr<pipeline::RankQuery> FromProto(const recommender_pb::RankRequest& request);

// Fill `response`, which must be empty, with the fields of the result that it has.
void ToProto(const pipeline::RecommendResult& result, recommender_pb::RecommendResponse& response);
void ToProto(const pipeline::RecommendResult& result, recommender_pb::SearchResponse& response);
void ToProto(const pipeline::RecommendResult& result,
             recommender_pb::SimilarItemsResponse& response);
void ToProto(const pipeline::RecommendResult& result, recommender_pb::RankResponse& response);

// The other direction, for our clients.
recommender_pb::RecommendRequest ToProto(const pipeline::RecommendQuery& query);
absl::StatusOr<pipeline::RecommendResult> FromProto(
    const recommender_pb::RecommendResponse& response);

}  // namespace palate::services
