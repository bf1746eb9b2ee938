#include "services/gateway/recommender_grpc.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/limits.h"
#include "services/convert/types_convert.h"
#include "services/gateway/recommender_convert.h"
#include "services/runtime/client_call.h"

namespace palate::services {
namespace {

namespace pb = palate::recommender::v1;
namespace store_pb = palate::featurestore::v1;
using StoreStub = store_pb::FeatureStoreService::StubInterface::async_interface;

}  // namespace

RecommenderGrpc::RecommenderGrpc(const pipeline::Recommender& recommender, ChannelProvider store,
                                 absl::Duration default_timeout, ThreadPool& pool)
    : RpcService(pb::RecommenderService::service_full_name(), pool),
      recommender_(recommender),
      store_(store),
      writes_(std::move(store), store_pb::FeatureStoreService::service_full_name()) {
  Forward("PurgeUser", writes_);  // before SetDefaultTimeout: a purge has no default timeout
  SetDefaultTimeout(default_timeout);
  Unary("Recommend", this, &RecommenderGrpc::Recommend);
  ServerStream("RecommendStream", this, &RecommenderGrpc::RecommendStream);
  Unary("Search", this, &RecommenderGrpc::Search);
  Unary("SimilarItems", this, &RecommenderGrpc::SimilarItems);
  Unary("Rank", this, &RecommenderGrpc::Rank);
  Forward("WriteEvents", writes_);
  Forward("UpsertItems", writes_);
  Unary("GetUser", this, &RecommenderGrpc::GetUser);
  CheckComplete();
}

absl::Status RecommenderGrpc::Recommend(Call& call, const pb::RecommendRequest& request,
                                        pb::RecommendResponse& response) {
  PALATE_ASSIGN_OR_RETURN(const pipeline::RecommendQuery query, FromProto(request));
  PALATE_ASSIGN_OR_RETURN(const pipeline::RecommendResult result,
                          recommender_.Recommend(query, call.context()));
  ToProto(result, response);
  recommender_.RecordImpression(query, result);
  return absl::OkStatus();
}

absl::Status RecommenderGrpc::RecommendStream(Call& call, const pb::RecommendStreamRequest& request,
                                              ResponseWriter<pb::RecommendStreamResponse>& writer) {
  PALATE_ASSIGN_OR_RETURN(const pipeline::RecommendQuery query,
                          PrefixFields(FromProto(request.request()), "request"));

  pipeline::StreamSink sink;
  sink.on_ranked = [&](const pipeline::RecommendResult& ranked) {
    pb::RecommendStreamResponse message;
    ToProto(ranked, *message.mutable_ranked());
    return writer.Write(message);
  };
  sink.on_text = [&](size_t index, const std::string& piece) {
    pb::RecommendStreamResponse message;
    message.mutable_text()->set_result_index(static_cast<int>(index));
    message.mutable_text()->set_piece(piece);
    return !call.cancelled() && writer.Write(message);
  };

  PALATE_ASSIGN_OR_RETURN(const pipeline::RecommendResult result,
                          recommender_.Recommend(query, sink, call.context()));

  for (size_t i = 0; i < result.results.size(); ++i) {
    if (!result.results[i].explanation.has_value()) continue;
    pb::RecommendStreamResponse message;
    message.mutable_explanation()->set_result_index(static_cast<int>(i));
    *message.mutable_explanation()->mutable_explanation() = ToProto(*result.results[i].explanation);
    if (!writer.Write(message)) return absl::CancelledError("the caller stopped listening");
  }

  pb::RecommendStreamResponse done;
  for (const pipeline::StageReport& report : result.stages)
    *done.mutable_done()->add_stages() = ToProto(report);
  writer.Write(done);
  recommender_.RecordImpression(query, result);
  return absl::OkStatus();
}

absl::Status RecommenderGrpc::Search(Call& call, const pb::SearchRequest& request,
                                     pb::SearchResponse& response) {
  PALATE_ASSIGN_OR_RETURN(const pipeline::SearchQuery query, FromProto(request));
  PALATE_ASSIGN_OR_RETURN(const pipeline::RecommendResult result,
                          recommender_.Search(query, call.context()));
  ToProto(result, response);
  return absl::OkStatus();
}

absl::Status RecommenderGrpc::SimilarItems(Call& call, const pb::SimilarItemsRequest& request,
                                           pb::SimilarItemsResponse& response) {
  PALATE_ASSIGN_OR_RETURN(const pipeline::SimilarQuery query, FromProto(request));
  PALATE_ASSIGN_OR_RETURN(const pipeline::RecommendResult result,
                          recommender_.SimilarItems(query, call.context()));
  ToProto(result, response);
  return absl::OkStatus();
}

absl::Status RecommenderGrpc::Rank(Call& call, const pb::RankRequest& request,
                                   pb::RankResponse& response) {
  PALATE_ASSIGN_OR_RETURN(const pipeline::RankQuery query, FromProto(request));
  PALATE_ASSIGN_OR_RETURN(const pipeline::RecommendResult result,
                          recommender_.Rank(query, call.context()));
  ToProto(result, response);

  pipeline::RecommendQuery shown;
  shown.catalog = query.catalog;
  shown.user_id = query.user_id;
  recommender_.RecordImpression(shown, result);
  return absl::OkStatus();
}

absl::Status RecommenderGrpc::GetUser(Call& call, const pb::GetUserRequest& request,
                                      pb::GetUserResponse& response) {
  if (request.user_id().empty())
    return InvalidField("user_id", "is empty", absl::StrCat("1 to ", kMaxIdBytes, " bytes"));
  if (request.max_events() < 0 || request.max_events() > kMaxUserEvents) {
    return InvalidField("max_events", absl::StrCat("is ", request.max_events()),
                        absl::StrCat("0 to ", kMaxUserEvents));
  }

  store_pb::GetUserContextRequest passed;
  passed.set_catalog(request.catalog());
  passed.set_user_id(request.user_id());
  passed.set_max_events(
      std::max(1, request.max_events()));  // one event shows whether the user is known
  passed.set_omit_seen_items(true);
  store_pb::GetUserContextResponse answer;
  PALATE_RETURN_IF_ERROR(
      CallUnary(store_.async(), &StoreStub::GetUserContext, passed, answer, call.context()));

  if (!answer.has_user() && answer.events().empty()) {
    return absl::NotFoundError(absl::StrCat("nothing is known about user ",
                                            QuoteForMessage(request.user_id()), " in catalog ",
                                            QuoteForMessage(request.catalog())));
  }

  if (answer.has_user()) *response.mutable_user() = std::move(*answer.mutable_user());
  response.mutable_user()->set_id(request.user_id());
  for (int i = 0; i < std::min(request.max_events(), answer.events_size()); ++i) {
    *response.add_events() = std::move(*answer.mutable_events(i)->mutable_event());
  }
  response.set_has_more_events(answer.has_more_events() ||
                               answer.events_size() > request.max_events());
  return absl::OkStatus();
}

}  // namespace palate::services
