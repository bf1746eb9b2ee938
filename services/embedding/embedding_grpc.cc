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
  PALATE_ASSIGN_OR_RETURN(const EmbedSettings settings, path_.Open(request));
  const bool bulk = settings.options.lane == embedding::Lane::kBulk;
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
  PALATE_ASSIGN_OR_RETURN(const std::vector<embedding::EmbedResult> results,
                          path_.Embed(std::move(inputs), settings, call.context()));

  std::vector<ElementFailure> failures;
  for (size_t i = 0; i < results.size(); ++i) {
    pb::EmbedResult* result = response.add_results();
    if (results[i].status.ok()) {
      *result = ToProto(results[i], settings.model->embedder->info());
    } else {
      failures.push_back({i, results[i].status});
    }
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
