#include "services/embedding/embedding_service.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "embedding/embedding_model.h"
#include "services/embedding/embedding_grpc.h"

namespace palate::services {

void EmbeddingConfig::Bind(Config& config) {
  config.AddMap("embedding.models", &models, "Model folders by the name that requests and catalogs give.");
  config.AddString("embedding.default_model", &default_model, "The model of requests and catalogs that name none.");
  config.AddInt("embedding.threads", &threads, 2, 256, "Calls in progress: they wait for the model, tokenise and decode pictures.");
  config.AddInt("embedding.queue_limit", &queue_limit, 1, 100'000, "Calls that wait for a thread; more are refused.");
  config.AddInt("embedding.max_bulk_calls", &max_bulk_calls, 1, 256, "Bulk calls in progress, so that interactive ones find a thread.");
  config.AddInt64("embedding.batch_tokens", &embedder.batch_tokens, 64, 1 << 20,
                  "Work of one batch in tokens; a picture counts its patches.");
  config.AddDouble("embedding.bulk_share", &embedder.bulk_share, 0, 1, "Share of a batch for bulk work while interactive work waits.");
  config.AddInt64("embedding.max_queued_tokens_interactive", &embedder.max_queued_tokens_interactive, 1024, int64_t{1} << 32,
                  "Waiting interactive work, in tokens; more is refused.");
  config.AddInt64("embedding.max_queued_tokens_bulk", &embedder.max_queued_tokens_bulk, 1024, int64_t{1} << 32,
                  "Waiting bulk work, in tokens; more is refused.");
  config.AddInt("embedding.max_concurrent_decodes", &embedder.max_concurrent_decodes, 1, 64,
                "Pictures decoded at once; each may take 3 bytes a pixel.");
  config.AddInt("embedding.intra_op_threads", &embedder.intra_op_threads, 0, 256,
                "Threads of one matrix operation; 0 leaves LibTorch's choice.");
}

absl::StatusOr<ServiceSet> MakeEmbeddingServices(const EmbeddingConfig& config) {
  if (!config.models.contains(config.default_model)) {
    return absl::FailedPreconditionError(
        absl::StrCat("embedding.default_model is ", config.default_model, ", which embedding.models does not name"));
  }
  ServiceSet set;
  std::map<std::string, embedding::Embedder*> embedders;
  for (const auto& [name, folder] : config.models) {
    auto model = embedding::EmbeddingModel::Load(folder);
    if (!model.ok()) return Annotate(model.status(), "embedding model ", name, " in ", folder);
    PALATE_ASSIGN_OR_RETURN(auto embedder, embedding::Embedder::Create(*std::move(model), config.embedder));
    embedders[name] = set.Own(std::move(embedder));
  }
  ThreadPool* pool = set.Own(std::make_unique<ThreadPool>("embedding", config.threads, config.queue_limit));
  set.Add(std::make_unique<EmbeddingGrpc>(std::move(embedders), config.default_model, config.max_bulk_calls, *pool));
  return set;
}

}  // namespace palate::services
