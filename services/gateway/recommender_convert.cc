#include "services/gateway/recommender_convert.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "domain/limits.h"
#include "services/convert/types_convert.h"

namespace palate::services {
namespace {

using pipeline::Degradation;
using pipeline::RecommendResult;

// The enums of both sides count alike, with the message's one ahead for its UNSPECIFIED; where they do not, the table says so.
static_assert(static_cast<int>(pipeline::StageId::kRecord) + 1 == recommender_pb::STAGE_RECORD);
static_assert(static_cast<int>(pipeline::StageOutcome::kDegraded) + 1 == recommender_pb::STAGE_STATUS_DEGRADED);
static_assert(static_cast<int>(pipeline::Source::kCaller) + 1 == recommender_pb::CANDIDATE_SOURCE_CALLER);
static_assert(static_cast<int>(Degradation::kNoCandidates) == recommender_pb::DEGRADATION_NO_CANDIDATES);
static_assert(static_cast<int>(Degradation::kRetrievalUnavailable) == recommender_pb::DEGRADATION_RETRIEVAL_UNAVAILABLE);
static_assert(static_cast<int>(pipeline::ExplainMode::kLlm) + 1 == types_pb::EXPLAIN_MODE_LLM);

int CountOrDefault(int count) { return count == 0 ? kDefaultResults : count; }

template <typename Repeated>
std::vector<std::string> Strings(const Repeated& field) {
  return {field.begin(), field.end()};
}

template <typename Request>
absl::StatusOr<absl::Time> RequestTime(const Request& request) {
  if (!request.has_request_time()) return absl::InfiniteFuture();
  return FromProto(request.request_time(), "request_time");
}

absl::StatusOr<pipeline::ExplainMode> FromProto(types_pb::ExplainMode mode) {
  if (mode == types_pb::EXPLAIN_MODE_UNSPECIFIED) return pipeline::ExplainMode::kNone;
  if (!types_pb::ExplainMode_IsValid(mode)) {
    return InvalidField("explain", absl::StrCat("is ", static_cast<int>(mode)), "NONE, TEMPLATE or LLM");
  }
  return static_cast<pipeline::ExplainMode>(static_cast<int>(mode) - 1);
}

// Events without a time happen now: a visit's events are the newest that there are.
absl::StatusOr<std::vector<Event>> SessionEvents(const google::protobuf::RepeatedPtrField<types_pb::Event>& events, absl::Time now) {
  std::vector<Event> out;
  for (int i = 0; i < events.size(); ++i) {
    absl::StatusOr<Event> event = services::FromProto(events[i], /*time_required=*/false);
    if (!event.ok()) return PrefixFields(event.status(), absl::StrCat("session_events[", i, "]"));
    if (!events[i].has_event_time()) event->time = now == absl::InfiniteFuture() ? absl::Now() : now;
    out.push_back(*std::move(event));
  }
  return out;
}

absl::StatusOr<pipeline::Diversity> FromProto(const recommender_pb::Diversity& diversity) {
  pipeline::Diversity out;
  out.mmr_lambda = diversity.mmr_lambda();
  out.exploration_share = diversity.exploration_share();
  for (const recommender_pb::AttributeCap& cap : diversity.attribute_caps()) {
    if (!out.attribute_caps.emplace(cap.attribute(), cap.max_results()).second) {
      return InvalidField("diversity.attribute_caps", absl::StrCat("names ", cap.attribute(), " twice"), "distinct attributes");
    }
  }
  return out;
}

pipeline::SearchInput FromProto(const recommender_pb::Query& query) { return {query.text(), query.image()}; }

recommender_pb::Reason ToProto(const pipeline::Reason& reason) {
  recommender_pb::Reason out;
  out.set_source(static_cast<recommender_pb::CandidateSource>(static_cast<int>(reason.source) + 1));
  out.set_score(reason.score);
  out.set_space(reason.space);
  out.mutable_context_item_ids()->Assign(reason.item_ids.begin(), reason.item_ids.end());
  return out;
}

recommender_pb::RankedItem ToProto(const pipeline::ResultItem& item) {
  recommender_pb::RankedItem out;
  out.set_item_id(item.item.id);
  out.set_score(item.score);
  out.set_relevance_score(item.relevance_score);
  if (item.rerank_score.has_value()) out.set_rerank_score(*item.rerank_score);
  for (const pipeline::Reason& reason : item.reasons) *out.add_reasons() = ToProto(reason);
  if (item.explanation.has_value()) *out.mutable_explanation() = services::ToProto(*item.explanation);
  *out.mutable_item() = services::ToProto(item.item);
  return out;
}

// What all four answers have.
template <typename Response>
void FillCommon(const RecommendResult& result, Response& response) {
  for (const pipeline::ResultItem& item : result.results) *response.add_results() = ToProto(item);
  for (const pipeline::StageReport& report : result.stages) *response.add_stages() = services::ToProto(report);
}

absl::StatusOr<pipeline::ResultItem> FromProto(const recommender_pb::RankedItem& item) {
  pipeline::ResultItem out;
  PALATE_ASSIGN_OR_RETURN(out.item, services::FromProto(item.item()));
  for (const types_pb::ItemImage& image : item.item().images()) out.item.images.push_back(services::FromProto(image));
  out.score = item.score();
  out.relevance_score = item.relevance_score();
  if (item.has_rerank_score()) out.rerank_score = item.rerank_score();
  for (const recommender_pb::Reason& reason : item.reasons()) {
    out.reasons.push_back({static_cast<pipeline::Source>(static_cast<int>(reason.source()) - 1), reason.score(), reason.space(),
                           Strings(reason.context_item_ids())});
  }
  if (item.has_explanation()) out.explanation = services::FromProto(item.explanation());
  return out;
}

pipeline::StageReport FromProto(const recommender_pb::StageReport& report) {
  pipeline::StageReport out;
  out.id = static_cast<pipeline::StageId>(static_cast<int>(report.stage()) - 1);
  out.outcome = static_cast<pipeline::StageOutcome>(static_cast<int>(report.status()) - 1);
  out.duration = absl::Seconds(report.duration().seconds()) + absl::Nanoseconds(report.duration().nanos());
  for (const recommender_pb::StageNote& note : report.notes()) {
    out.notes.push_back({static_cast<Degradation>(note.degradation()), note.detail()});
  }
  return out;
}

}  // namespace

recommender_pb::StageReport ToProto(const pipeline::StageReport& report) {
  recommender_pb::StageReport out;
  out.set_stage(static_cast<recommender_pb::Stage>(static_cast<int>(report.id) + 1));
  out.set_status(static_cast<recommender_pb::StageStatus>(static_cast<int>(report.outcome) + 1));
  *out.mutable_duration() = ToProto(report.duration);
  for (const pipeline::StageNote& note : report.notes) {
    recommender_pb::StageNote* added = out.add_notes();
    added->set_degradation(static_cast<recommender_pb::Degradation>(static_cast<int>(note.degradation)));
    added->set_detail(note.detail);
  }
  return out;
}

absl::StatusOr<pipeline::RecommendQuery> FromProto(const recommender_pb::RecommendRequest& request) {
  pipeline::RecommendQuery query;
  query.catalog = request.catalog();
  query.scenario = request.scenario();
  query.user_id = request.user_id();
  PALATE_ASSIGN_OR_RETURN(query.request_time, RequestTime(request));
  PALATE_ASSIGN_OR_RETURN(query.session_events, SessionEvents(request.session_events(), query.request_time));
  query.context_item_ids = Strings(request.context_item_ids());
  query.query = FromProto(request.query());
  query.filter = request.filter();
  query.exclude_item_ids = Strings(request.exclude_item_ids());
  query.include_seen = request.include_seen();
  query.num_results = CountOrDefault(request.num_results());
  PALATE_ASSIGN_OR_RETURN(query.explain, FromProto(request.explain()));
  PALATE_ASSIGN_OR_RETURN(query.diversity, FromProto(request.diversity()));
  query.language = request.language();
  query.instruction = request.instruction();
  query.debug = request.debug();
  return query;
}

absl::StatusOr<pipeline::SearchQuery> FromProto(const recommender_pb::SearchRequest& request) {
  pipeline::SearchQuery query;
  query.catalog = request.catalog();
  query.user_id = request.user_id();
  query.query = FromProto(request.query());
  query.filter = request.filter();
  query.exclude_item_ids = Strings(request.exclude_item_ids());
  query.num_results = CountOrDefault(request.num_results());
  PALATE_ASSIGN_OR_RETURN(query.request_time, RequestTime(request));
  return query;
}

absl::StatusOr<pipeline::SimilarQuery> FromProto(const recommender_pb::SimilarItemsRequest& request) {
  pipeline::SimilarQuery query;
  query.catalog = request.catalog();
  query.item_id = request.item_id();
  query.space = request.space();
  query.filter = request.filter();
  query.exclude_item_ids = Strings(request.exclude_item_ids());
  query.num_results = CountOrDefault(request.num_results());
  PALATE_ASSIGN_OR_RETURN(query.request_time, RequestTime(request));
  return query;
}

absl::StatusOr<pipeline::RankQuery> FromProto(const recommender_pb::RankRequest& request) {
  pipeline::RankQuery query;
  query.catalog = request.catalog();
  query.user_id = request.user_id();
  PALATE_ASSIGN_OR_RETURN(query.request_time, RequestTime(request));
  PALATE_ASSIGN_OR_RETURN(query.session_events, SessionEvents(request.session_events(), query.request_time));
  query.item_ids = Strings(request.item_ids());
  query.filter = request.filter();
  PALATE_ASSIGN_OR_RETURN(query.explain, FromProto(request.explain()));
  query.language = request.language();
  query.instruction = request.instruction();
  return query;
}

recommender_pb::RecommendResponse ToRecommendResponse(const RecommendResult& result) {
  recommender_pb::RecommendResponse response;
  FillCommon(result, response);
  response.set_recommendation_id(result.recommendation_id);
  response.set_rerank_weight(result.rerank_weight);
  response.set_ranking_fingerprint(result.ranking_fingerprint);
  response.mutable_debug()->insert(result.debug.begin(), result.debug.end());
  return response;
}

recommender_pb::SearchResponse ToSearchResponse(const RecommendResult& result) {
  recommender_pb::SearchResponse response;
  FillCommon(result, response);
  return response;
}

recommender_pb::SimilarItemsResponse ToSimilarItemsResponse(const RecommendResult& result) {
  recommender_pb::SimilarItemsResponse response;
  FillCommon(result, response);
  return response;
}

recommender_pb::RankResponse ToRankResponse(const RecommendResult& result) {
  recommender_pb::RankResponse response;
  FillCommon(result, response);
  response.set_recommendation_id(result.recommendation_id);
  response.set_rerank_weight(result.rerank_weight);
  response.set_ranking_fingerprint(result.ranking_fingerprint);
  response.mutable_missing_item_ids()->Assign(result.missing_item_ids.begin(), result.missing_item_ids.end());
  response.mutable_filtered_item_ids()->Assign(result.filtered_item_ids.begin(), result.filtered_item_ids.end());
  return response;
}

recommender_pb::RecommendRequest ToProto(const pipeline::RecommendQuery& query) {
  recommender_pb::RecommendRequest request;
  request.set_catalog(query.catalog);
  request.set_scenario(query.scenario);
  request.set_user_id(query.user_id);
  for (const Event& event : query.session_events) *request.add_session_events() = ToProto(event);
  request.mutable_context_item_ids()->Assign(query.context_item_ids.begin(), query.context_item_ids.end());
  if (!query.query.empty()) {
    request.mutable_query()->set_text(query.query.text);
    request.mutable_query()->set_image(query.query.image);
  }
  request.set_filter(query.filter);
  request.mutable_exclude_item_ids()->Assign(query.exclude_item_ids.begin(), query.exclude_item_ids.end());
  request.set_include_seen(query.include_seen);
  request.set_num_results(query.num_results);
  request.set_explain(static_cast<types_pb::ExplainMode>(static_cast<int>(query.explain) + 1));
  request.mutable_diversity()->set_mmr_lambda(query.diversity.mmr_lambda);
  request.mutable_diversity()->set_exploration_share(query.diversity.exploration_share);
  for (const auto& [attribute, cap] : query.diversity.attribute_caps) {
    recommender_pb::AttributeCap* added = request.mutable_diversity()->add_attribute_caps();
    added->set_attribute(attribute);
    added->set_max_results(cap);
  }
  if (query.request_time != absl::InfiniteFuture()) *request.mutable_request_time() = ToProto(query.request_time);
  request.set_language(query.language);
  request.set_instruction(query.instruction);
  request.set_debug(query.debug);
  return request;
}

absl::StatusOr<RecommendResult> FromProto(const recommender_pb::RecommendResponse& response) {
  RecommendResult result;
  result.recommendation_id = response.recommendation_id();
  for (const recommender_pb::RankedItem& item : response.results()) {
    PALATE_ASSIGN_OR_RETURN(pipeline::ResultItem converted, FromProto(item));
    result.results.push_back(std::move(converted));
  }
  for (const recommender_pb::StageReport& report : response.stages()) result.stages.push_back(FromProto(report));
  result.rerank_weight = response.rerank_weight();
  result.ranking_fingerprint = response.ranking_fingerprint();
  return result;
}

}  // namespace palate::services
