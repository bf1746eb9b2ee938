#include "services/embedding/embedding_grpc.h"

#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/element_failure.h"
#include "domain/limits.h"
#include "services/embedding/embedding_convert.h"
#include "services/runtime/status_convert.h"

namespace palate::services {
namespace {

namespace pb = palate::embedding::v1;

// Adds the counts of all models' cached embedders to the statistics of their cache.
embedding::CacheStats Sum(embedding::CacheStats cache,
                          const std::map<std::string, ServedModel>& models,
                          embedding::CacheStats (embedding::CachedEmbedder::*counts)() const) {
  for (const auto& [name, model] : models) {
    const embedding::CacheStats counted = (model.cached.get()->*counts)();
    cache.hits += counted.hits;
    cache.misses += counted.misses;
    cache.shared += counted.shared;
  }
  return cache;
}

// Adds one model's result of an input to those of others.
void Add(pb::EmbedResult result, pb::EmbedResult& sum) {
  result.set_tokens(result.tokens() + sum.tokens());
  result.set_truncated_tokens(result.truncated_tokens() + sum.truncated_tokens());
  sum.MergeFrom(result);
}

}  // namespace

EmbeddingGrpc::EmbeddingGrpc(EmbedPath& path, EmbedStreams& streams, int max_bulk_calls,
                             ThreadPool& pool, ThreadPool& quick)
    : RpcService("palate.embedding.v1.EmbeddingService", pool),
      path_(path),
      streams_(streams),
      max_bulk_calls_(max_bulk_calls) {
  Unary("Embed", this, &EmbeddingGrpc::Embed);
  BidiReactor("EmbedStream", [this](grpc::CallbackServerContext* context) {
    return streams_.Open(*this, context);
  });
  Unary("DropUser", this, &EmbeddingGrpc::DropUser, &quick);
  Unary("GetModelInfo", this, &EmbeddingGrpc::GetModelInfo, &quick);
  Unary("GetStats", this, &EmbeddingGrpc::GetStats, &quick);
  CheckComplete();
}

absl::Status EmbeddingGrpc::Embed(Call& call, const pb::EmbedRequest& request,
                                  pb::EmbedResponse& response) {
  PALATE_ASSIGN_OR_RETURN(const std::vector<EmbedSettings> settings, path_.OpenAll(request));
  const bool bulk = settings.front().options.lane == embedding::Lane::kBulk;
  const int running = bulk ? ++bulk_calls_ : 0;
  const absl::Cleanup leave = [&] { bulk_calls_ -= bulk ? 1 : 0; };
  if (running > max_bulk_calls_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "embedding: ", max_bulk_calls_, " bulk calls are running, which is the limit"));
  }

  if (request.inputs().empty() || request.inputs_size() > kMaxEmbedInputs) {
    return InvalidField("inputs", absl::StrCat("has ", request.inputs_size(), " elements"),
                        absl::StrCat("1 to ", kMaxEmbedInputs));
  }

  std::vector<WireInput> inputs;
  for (const pb::EmbedInput& input : request.inputs()) inputs.push_back(FromProto(input));
  std::vector<absl::Status> statuses(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) response.add_results();
  for (const EmbedSettings& one : settings) {
    PALATE_ASSIGN_OR_RETURN(
        const std::vector<embedding::EmbedResult> results,
        path_.Embed(&one == &settings.back() ? std::move(inputs) : inputs, one, call.context()));
    for (size_t i = 0; i < results.size(); ++i) {
      statuses[i].Update(results[i].status);
      if (results[i].status.ok())
        Add(ToProto(results[i], one.model->embedder->info()),
            *response.mutable_results(static_cast<int>(i)));
    }
  }

  std::vector<ElementFailure> failures;
  for (size_t i = 0; i < statuses.size(); ++i) {
    if (statuses[i].ok()) continue;
    response.mutable_results(static_cast<int>(i))->Clear();
    failures.push_back({i, statuses[i]});
  }
  AddFailures("inputs", failures, {}, *response.mutable_failures());
  return absl::OkStatus();
}

absl::Status EmbeddingGrpc::DropUser(Call&, const pb::DropUserRequest& request,
                                     pb::DropUserResponse& response) {
  if (request.catalog().empty()) return InvalidField("catalog", "is empty", "a catalog's id");
  if (request.user_id().empty())
    return InvalidField("user_id", "is empty", absl::StrCat("1 to ", kMaxIdBytes, " bytes"));

  embedding::QueryCache* queries = path_.parts().queries;
  if (queries != nullptr)
    response.set_dropped_vectors(queries->Drop({request.catalog(), request.user_id()}));
  return absl::OkStatus();
}

absl::Status EmbeddingGrpc::GetModelInfo(Call&, const pb::GetModelInfoRequest& request,
                                         pb::GetModelInfoResponse& response) {
  if (!request.model().empty()) PALATE_RETURN_IF_ERROR(path_.Find(request.model()).status());

  for (const auto& [name, model] : path_.models()) {
    if (!request.model().empty() && request.model() != name) continue;
    *response.add_models() =
        ToProto(name, model.embedder->info(), name == path_.parts().default_model);
  }
  return absl::OkStatus();
}

absl::Status EmbeddingGrpc::GetStats(Call&, const pb::GetStatsRequest&,
                                     pb::GetStatsResponse& response) {
  for (const auto& [name, model] : path_.models())
    *response.add_engines() = ToProto(name, model.embedder->stats());

  const EmbedPath::Parts& parts = path_.parts();
  if (parts.items != nullptr) {
    *response.mutable_items() =
        ToProto(Sum(parts.items->stats(), path_.models(), &embedding::CachedEmbedder::item_counts));
  }
  if (parts.queries != nullptr) {
    *response.mutable_queries() = ToProto(
        Sum(parts.queries->stats(), path_.models(), &embedding::CachedEmbedder::query_counts));
  }
  if (parts.fetcher != nullptr) *response.mutable_fetches() = ToProto(parts.fetcher->stats());

  response.set_open_streams(streams_.open());
  return absl::OkStatus();
}

}  // namespace palate::services
