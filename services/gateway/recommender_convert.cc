#include "services/gateway/recommender_convert.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/limits.h"
#include "services/convert/types_convert.h"

namespace palate::services {
namespace {

using pipeline::RecommendResult;

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

// Events without a time happen at the time of the request: a visit's events are the newest ones.
absl::StatusOr<std::vector<Event>> SessionEvents(
    const google::protobuf::RepeatedPtrField<types_pb::Event>& events, absl::Time now) {
  std::vector<Event> out;
  for (int i = 0; i < events.size(); ++i) {
    absl::StatusOr<Event> event = FromProto(events[i], /*time_required=*/false);
    if (!event.ok()) return PrefixFields(event.status(), absl::StrCat("session_events[", i, "]"));
    if (!events[i].has_event_time())
      event->time = now == absl::InfiniteFuture() ? absl::Now() : now;
    out.push_back(*std::move(event));
  }
  return out;
}

// Fills the fields that all four responses have.
template <typename Response>
void FillCommon(const RecommendResult& result, Response& response) {
  for (const pipeline::ResultItem& item : result.results) *response.add_results() = ToProto(item);
  for (const pipeline::StageReport& report : result.stages)
    *response.add_stages() = ToProto(report);
}

}  // namespace

types_pb::ExplainMode ToProto(pipeline::ExplainMode value) {
  switch (value) {
    case pipeline::ExplainMode::kNone:
      return types_pb::EXPLAIN_MODE_NONE;
    case pipeline::ExplainMode::kTemplate:
      return types_pb::EXPLAIN_MODE_TEMPLATE;
    case pipeline::ExplainMode::kLlm:
      return types_pb::EXPLAIN_MODE_LLM;
  }

  return types_pb::EXPLAIN_MODE_UNSPECIFIED;
}

absl::StatusOr<pipeline::ExplainMode> FromProto(types_pb::ExplainMode value) {
  switch (value) {
    case types_pb::EXPLAIN_MODE_UNSPECIFIED:
    case types_pb::EXPLAIN_MODE_NONE:
      return pipeline::ExplainMode::kNone;
    case types_pb::EXPLAIN_MODE_TEMPLATE:
      return pipeline::ExplainMode::kTemplate;
    case types_pb::EXPLAIN_MODE_LLM:
      return pipeline::ExplainMode::kLlm;
    case types_pb::ExplainMode_INT_MIN_SENTINEL_DO_NOT_USE_:
    case types_pb::ExplainMode_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return UnknownValue(value, "ExplainMode");
}

recommender_pb::CandidateSource ToProto(pipeline::Source value) {
  switch (value) {
    case pipeline::Source::kContent:
      return recommender_pb::CANDIDATE_SOURCE_CONTENT;
    case pipeline::Source::kContext:
      return recommender_pb::CANDIDATE_SOURCE_CONTEXT;
    case pipeline::Source::kQuery:
      return recommender_pb::CANDIDATE_SOURCE_QUERY;
    case pipeline::Source::kTrending:
      return recommender_pb::CANDIDATE_SOURCE_TRENDING;
    case pipeline::Source::kFresh:
      return recommender_pb::CANDIDATE_SOURCE_FRESH;
    case pipeline::Source::kCaller:
      return recommender_pb::CANDIDATE_SOURCE_CALLER;
    case pipeline::Source::kCatalog:
      return recommender_pb::CANDIDATE_SOURCE_CATALOG;
  }

  return recommender_pb::CANDIDATE_SOURCE_UNSPECIFIED;
}

absl::StatusOr<pipeline::Source> FromProto(recommender_pb::CandidateSource value) {
  switch (value) {
    case recommender_pb::CANDIDATE_SOURCE_CONTENT:
      return pipeline::Source::kContent;
    case recommender_pb::CANDIDATE_SOURCE_CONTEXT:
      return pipeline::Source::kContext;
    case recommender_pb::CANDIDATE_SOURCE_QUERY:
      return pipeline::Source::kQuery;
    case recommender_pb::CANDIDATE_SOURCE_TRENDING:
      return pipeline::Source::kTrending;
    case recommender_pb::CANDIDATE_SOURCE_FRESH:
      return pipeline::Source::kFresh;
    case recommender_pb::CANDIDATE_SOURCE_CALLER:
      return pipeline::Source::kCaller;
    case recommender_pb::CANDIDATE_SOURCE_CATALOG:
      return pipeline::Source::kCatalog;
    case recommender_pb::CANDIDATE_SOURCE_UNSPECIFIED:
    case recommender_pb::CandidateSource_INT_MIN_SENTINEL_DO_NOT_USE_:
    case recommender_pb::CandidateSource_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return UnknownValue(value, "CandidateSource");
}

recommender_pb::Stage ToProto(pipeline::StageId value) {
  switch (value) {
    case pipeline::StageId::kHydrate:
      return recommender_pb::STAGE_HYDRATE;
    case pipeline::StageId::kSource:
      return recommender_pb::STAGE_SOURCE;
    case pipeline::StageId::kFilter:
      return recommender_pb::STAGE_FILTER;
    case pipeline::StageId::kScore:
      return recommender_pb::STAGE_SCORE;
    case pipeline::StageId::kRerank:
      return recommender_pb::STAGE_RERANK;
    case pipeline::StageId::kDiversify:
      return recommender_pb::STAGE_DIVERSIFY;
    case pipeline::StageId::kExplain:
      return recommender_pb::STAGE_EXPLAIN;
  }

  return recommender_pb::STAGE_UNSPECIFIED;
}

absl::StatusOr<pipeline::StageId> FromProto(recommender_pb::Stage value) {
  switch (value) {
    case recommender_pb::STAGE_HYDRATE:
      return pipeline::StageId::kHydrate;
    case recommender_pb::STAGE_SOURCE:
      return pipeline::StageId::kSource;
    case recommender_pb::STAGE_FILTER:
      return pipeline::StageId::kFilter;
    case recommender_pb::STAGE_SCORE:
      return pipeline::StageId::kScore;
    case recommender_pb::STAGE_RERANK:
      return pipeline::StageId::kRerank;
    case recommender_pb::STAGE_DIVERSIFY:
      return pipeline::StageId::kDiversify;
    case recommender_pb::STAGE_EXPLAIN:
      return pipeline::StageId::kExplain;
    case recommender_pb::STAGE_UNSPECIFIED:
    case recommender_pb::Stage_INT_MIN_SENTINEL_DO_NOT_USE_:
    case recommender_pb::Stage_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return UnknownValue(value, "Stage");
}

recommender_pb::StageStatus ToProto(pipeline::StageOutcome value) {
  switch (value) {
    case pipeline::StageOutcome::kRan:
      return recommender_pb::STAGE_STATUS_RAN;
    case pipeline::StageOutcome::kSkipped:
      return recommender_pb::STAGE_STATUS_SKIPPED;
    case pipeline::StageOutcome::kDegraded:
      return recommender_pb::STAGE_STATUS_DEGRADED;
  }

  return recommender_pb::STAGE_STATUS_UNSPECIFIED;
}

absl::StatusOr<pipeline::StageOutcome> FromProto(recommender_pb::StageStatus value) {
  switch (value) {
    case recommender_pb::STAGE_STATUS_RAN:
      return pipeline::StageOutcome::kRan;
    case recommender_pb::STAGE_STATUS_SKIPPED:
      return pipeline::StageOutcome::kSkipped;
    case recommender_pb::STAGE_STATUS_DEGRADED:
      return pipeline::StageOutcome::kDegraded;
    case recommender_pb::STAGE_STATUS_UNSPECIFIED:
    case recommender_pb::StageStatus_INT_MIN_SENTINEL_DO_NOT_USE_:
    case recommender_pb::StageStatus_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return UnknownValue(value, "StageStatus");
}

recommender_pb::Degradation ToProto(pipeline::Degradation value) {
  switch (value) {
    case pipeline::Degradation::kRetrievalUnavailable:
      return recommender_pb::DEGRADATION_RETRIEVAL_UNAVAILABLE;
    case pipeline::Degradation::kEmbeddingUnavailable:
      return recommender_pb::DEGRADATION_EMBEDDING_UNAVAILABLE;
    case pipeline::Degradation::kSpaceUnavailable:
      return recommender_pb::DEGRADATION_SPACE_UNAVAILABLE;
    case pipeline::Degradation::kRankingUnavailable:
      return recommender_pb::DEGRADATION_RANKING_UNAVAILABLE;
    case pipeline::Degradation::kDeadlineShort:
      return recommender_pb::DEGRADATION_DEADLINE_SHORT;
    case pipeline::Degradation::kWeightZero:
      return recommender_pb::DEGRADATION_WEIGHT_ZERO;
    case pipeline::Degradation::kNoHistory:
      return recommender_pb::DEGRADATION_NO_HISTORY;
    case pipeline::Degradation::kNotRequested:
      return recommender_pb::DEGRADATION_NOT_REQUESTED;
    case pipeline::Degradation::kTemplateFallback:
      return recommender_pb::DEGRADATION_TEMPLATE_FALLBACK;
    case pipeline::Degradation::kFewerThanRequested:
      return recommender_pb::DEGRADATION_FEWER_THAN_REQUESTED;
    case pipeline::Degradation::kNoCandidates:
      return recommender_pb::DEGRADATION_NO_CANDIDATES;
    case pipeline::Degradation::kInputNotUsed:
      return recommender_pb::DEGRADATION_INPUT_NOT_USED;
    case pipeline::Degradation::kLittleHistory:
      return recommender_pb::DEGRADATION_LITTLE_HISTORY;
    case pipeline::Degradation::kOverloaded:
      return recommender_pb::DEGRADATION_OVERLOADED;
    case pipeline::Degradation::kIndexBehind:
      return recommender_pb::DEGRADATION_INDEX_BEHIND;
    case pipeline::Degradation::kNone:
      break;
  }

  return recommender_pb::DEGRADATION_UNSPECIFIED;
}

absl::StatusOr<pipeline::Degradation> FromProto(recommender_pb::Degradation value) {
  switch (value) {
    case recommender_pb::DEGRADATION_UNSPECIFIED:
      return pipeline::Degradation::kNone;
    case recommender_pb::DEGRADATION_RETRIEVAL_UNAVAILABLE:
      return pipeline::Degradation::kRetrievalUnavailable;
    case recommender_pb::DEGRADATION_EMBEDDING_UNAVAILABLE:
      return pipeline::Degradation::kEmbeddingUnavailable;
    case recommender_pb::DEGRADATION_SPACE_UNAVAILABLE:
      return pipeline::Degradation::kSpaceUnavailable;
    case recommender_pb::DEGRADATION_RANKING_UNAVAILABLE:
      return pipeline::Degradation::kRankingUnavailable;
    case recommender_pb::DEGRADATION_DEADLINE_SHORT:
      return pipeline::Degradation::kDeadlineShort;
    case recommender_pb::DEGRADATION_WEIGHT_ZERO:
      return pipeline::Degradation::kWeightZero;
    case recommender_pb::DEGRADATION_NO_HISTORY:
      return pipeline::Degradation::kNoHistory;
    case recommender_pb::DEGRADATION_NOT_REQUESTED:
      return pipeline::Degradation::kNotRequested;
    case recommender_pb::DEGRADATION_TEMPLATE_FALLBACK:
      return pipeline::Degradation::kTemplateFallback;
    case recommender_pb::DEGRADATION_FEWER_THAN_REQUESTED:
      return pipeline::Degradation::kFewerThanRequested;
    case recommender_pb::DEGRADATION_NO_CANDIDATES:
      return pipeline::Degradation::kNoCandidates;
    case recommender_pb::DEGRADATION_INPUT_NOT_USED:
      return pipeline::Degradation::kInputNotUsed;
    case recommender_pb::DEGRADATION_LITTLE_HISTORY:
      return pipeline::Degradation::kLittleHistory;
    case recommender_pb::DEGRADATION_OVERLOADED:
      return pipeline::Degradation::kOverloaded;
    case recommender_pb::DEGRADATION_INDEX_BEHIND:
      return pipeline::Degradation::kIndexBehind;
    case recommender_pb::Degradation_INT_MIN_SENTINEL_DO_NOT_USE_:
    case recommender_pb::Degradation_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }

  return UnknownValue(value, "Degradation");
}

absl::StatusOr<pipeline::Diversity> FromProto(const recommender_pb::Diversity& diversity) {
  pipeline::Diversity out;
  out.mmr_lambda = diversity.mmr_lambda();
  out.exploration_share = diversity.exploration_share();
  for (const recommender_pb::AttributeCap& cap : diversity.attribute_caps()) {
    if (!out.attribute_caps.emplace(cap.attribute(), cap.max_results()).second) {
      return InvalidField("attribute_caps",
                          absl::StrCat("names ", QuoteForMessage(cap.attribute()), " twice"),
                          "distinct attributes");
    }
  }
  return out;
}

recommender_pb::Diversity ToProto(const pipeline::Diversity& diversity) {
  recommender_pb::Diversity out;
  out.set_mmr_lambda(diversity.mmr_lambda);
  out.set_exploration_share(diversity.exploration_share);
  for (const auto& [attribute, cap] : diversity.attribute_caps) {
    recommender_pb::AttributeCap* added = out.add_attribute_caps();
    added->set_attribute(attribute);
    added->set_max_results(cap);
  }
  return out;
}

pipeline::SearchInput FromProto(const recommender_pb::Query& query) {
  return {query.text(), query.image()};
}

recommender_pb::Query ToProto(const pipeline::SearchInput& input) {
  recommender_pb::Query out;
  out.set_text(input.text);
  out.set_image(input.image);
  return out;
}

recommender_pb::Reason ToProto(const pipeline::Reason& reason) {
  recommender_pb::Reason out;
  out.set_source(ToProto(reason.source));
  out.set_score(reason.score);
  out.set_space(reason.space);
  out.mutable_context_item_ids()->Assign(reason.item_ids.begin(), reason.item_ids.end());
  return out;
}

absl::StatusOr<pipeline::Reason> FromProto(const recommender_pb::Reason& reason) {
  PALATE_ASSIGN_OR_RETURN(const pipeline::Source source,
                          PrefixFields(FromProto(reason.source()), "source"));
  return pipeline::Reason{source, reason.score(), reason.space(),
                          Strings(reason.context_item_ids())};
}

recommender_pb::RankedItem ToProto(const pipeline::ResultItem& item) {
  recommender_pb::RankedItem out;
  out.set_item_id(item.item.id);
  out.set_score(item.score);
  out.set_relevance_score(item.relevance_score);
  if (item.rerank_score.has_value()) out.set_rerank_score(*item.rerank_score);
  for (const pipeline::Reason& reason : item.reasons) *out.add_reasons() = ToProto(reason);
  if (item.explanation.has_value()) *out.mutable_explanation() = ToProto(*item.explanation);
  *out.mutable_item() = ToProto(item.item);
  return out;
}

absl::StatusOr<pipeline::ResultItem> FromProto(const recommender_pb::RankedItem& item) {
  pipeline::ResultItem out;
  PALATE_ASSIGN_OR_RETURN(out.item, PrefixFields(FromProto(item.item()), "item"));
  for (const types_pb::ItemImage& image : item.item().images())
    out.item.images.push_back(FromProto(image));

  out.score = item.score();
  out.relevance_score = item.relevance_score();
  if (item.has_rerank_score()) out.rerank_score = item.rerank_score();
  PALATE_RETURN_IF_ERROR(ConvertList(item.reasons(), "reasons", FromProto, out.reasons));
  if (item.has_explanation()) {
    PALATE_ASSIGN_OR_RETURN(out.explanation,
                            PrefixFields(FromProto(item.explanation()), "explanation"));
  }
  return out;
}

recommender_pb::StageNote ToProto(const pipeline::StageNote& note) {
  recommender_pb::StageNote out;
  out.set_degradation(ToProto(note.degradation));
  out.set_detail(note.detail);
  return out;
}

absl::StatusOr<pipeline::StageNote> FromProto(const recommender_pb::StageNote& note) {
  PALATE_ASSIGN_OR_RETURN(const pipeline::Degradation degradation,
                          PrefixFields(FromProto(note.degradation()), "degradation"));
  return pipeline::StageNote{degradation, note.detail()};
}

recommender_pb::StageReport ToProto(const pipeline::StageReport& report) {
  recommender_pb::StageReport out;
  out.set_stage(ToProto(report.id));
  out.set_status(ToProto(report.outcome));
  *out.mutable_duration() = ToProto(report.duration);
  for (const pipeline::StageNote& note : report.notes) *out.add_notes() = ToProto(note);
  return out;
}

absl::StatusOr<pipeline::StageReport> FromProto(const recommender_pb::StageReport& report) {
  pipeline::StageReport out;
  PALATE_ASSIGN_OR_RETURN(out.id, PrefixFields(FromProto(report.stage()), "stage"));
  PALATE_ASSIGN_OR_RETURN(out.outcome, PrefixFields(FromProto(report.status()), "status"));
  out.duration =
      absl::Seconds(report.duration().seconds()) + absl::Nanoseconds(report.duration().nanos());
  PALATE_RETURN_IF_ERROR(ConvertList(report.notes(), "notes", FromProto, out.notes));
  return out;
}

absl::StatusOr<pipeline::RecommendQuery> FromProto(
    const recommender_pb::RecommendRequest& request) {
  pipeline::RecommendQuery query;
  query.catalog = request.catalog();
  query.scenario = request.scenario();
  query.user_id = request.user_id();
  PALATE_ASSIGN_OR_RETURN(query.request_time, RequestTime(request));
  PALATE_ASSIGN_OR_RETURN(query.session_events,
                          SessionEvents(request.session_events(), query.request_time));

  query.context_item_ids = Strings(request.context_item_ids());
  query.query = FromProto(request.query());
  query.filter = request.filter();
  query.exclude_item_ids = Strings(request.exclude_item_ids());
  query.include_seen = request.include_seen();
  query.num_results = CountOrDefault(request.num_results());
  PALATE_ASSIGN_OR_RETURN(query.explain, PrefixFields(FromProto(request.explain()), "explain"));
  PALATE_ASSIGN_OR_RETURN(query.diversity,
                          PrefixFields(FromProto(request.diversity()), "diversity"));

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

absl::StatusOr<pipeline::SimilarQuery> FromProto(
    const recommender_pb::SimilarItemsRequest& request) {
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
  PALATE_ASSIGN_OR_RETURN(query.session_events,
                          SessionEvents(request.session_events(), query.request_time));
  query.item_ids = Strings(request.item_ids());
  query.filter = request.filter();

  PALATE_ASSIGN_OR_RETURN(query.explain, PrefixFields(FromProto(request.explain()), "explain"));
  query.language = request.language();
  query.instruction = request.instruction();
  return query;
}

void ToProto(const RecommendResult& result, recommender_pb::RecommendResponse& response) {
  FillCommon(result, response);
  response.set_recommendation_id(result.recommendation_id);
  response.set_rerank_weight(result.rerank_weight);
  response.set_ranking_fingerprint(result.ranking_fingerprint);
  response.mutable_debug()->insert(result.debug.begin(), result.debug.end());
}

void ToProto(const RecommendResult& result, recommender_pb::SearchResponse& response) {
  FillCommon(result, response);
}

void ToProto(const RecommendResult& result, recommender_pb::SimilarItemsResponse& response) {
  FillCommon(result, response);
}

void ToProto(const RecommendResult& result, recommender_pb::RankResponse& response) {
  FillCommon(result, response);
  response.set_recommendation_id(result.recommendation_id);
  response.set_rerank_weight(result.rerank_weight);
  response.set_ranking_fingerprint(result.ranking_fingerprint);
  response.mutable_missing_item_ids()->Assign(result.missing_item_ids.begin(),
                                              result.missing_item_ids.end());
  response.mutable_filtered_item_ids()->Assign(result.filtered_item_ids.begin(),
                                               result.filtered_item_ids.end());
}

recommender_pb::RecommendRequest ToProto(const pipeline::RecommendQuery& query) {
  recommender_pb::RecommendRequest request;
  request.set_catalog(query.catalog);
  request.set_scenario(query.scenario);
  request.set_user_id(query.user_id);
  for (const Event& event : query.session_events) *request.add_session_events() = ToProto(event);
  request.mutable_context_item_ids()->Assign(query.context_item_ids.begin(),
                                             query.context_item_ids.end());

  if (!query.query.empty()) *request.mutable_query() = ToProto(query.query);
  request.set_filter(query.filter);
  request.mutable_exclude_item_ids()->Assign(query.exclude_item_ids.begin(),
                                             query.exclude_item_ids.end());
  request.set_include_seen(query.include_seen);
  request.set_num_results(query.num_results);

  request.set_explain(ToProto(query.explain));
  *request.mutable_diversity() = ToProto(query.diversity);
  if (query.request_time != absl::InfiniteFuture())
    *request.mutable_request_time() = ToProto(query.request_time);

  request.set_language(query.language);
  request.set_instruction(query.instruction);
  request.set_debug(query.debug);
  return request;
}

absl::StatusOr<RecommendResult> FromProto(const recommender_pb::RecommendResponse& response) {
  RecommendResult result;
  result.recommendation_id = response.recommendation_id();
  PALATE_RETURN_IF_ERROR(ConvertList(response.results(), "results", FromProto, result.results));
  PALATE_RETURN_IF_ERROR(ConvertList(response.stages(), "stages", FromProto, result.stages));

  result.rerank_weight = response.rerank_weight();
  result.ranking_fingerprint = response.ranking_fingerprint();
  return result;
}

}  // namespace palate::services
