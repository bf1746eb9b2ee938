// The embedding service as a whole: configuration, models, caches, and the gRPC service over them.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "embedding/cache/item_cache.h"
#include "embedding/cache/query_cache.h"
#include "embedding/embedder.h"
#include "embedding/embedding_model.h"
#include "embedding/fetch/image_fetcher.h"
#include "services/embedding/embed_stream.h"
#include "services/runtime/config.h"
#include "services/runtime/service_set.h"
#include "services/runtime/share.h"

namespace palate::services {

struct EmbeddingConfig {
  std::map<std::string, std::string> models = {
      {"dual_encoder", SharedFile("models/dual_encoder")}};  // folders by name
  std::string default_model = "dual_encoder";
  embedding::EmbeddingModelOptions load;        // of every model; the adapter apart
  std::map<std::string, std::string> adapters;  // LoRA folders by the model's name
  int threads = 16;
  int queue_limit = 256;
  int max_bulk_calls = 4;
  absl::Duration stuck_after = absl::Seconds(60);
  embedding::EmbedderOptions embedder;
  embedding::ItemCache::Options item_cache;  // an empty dir: items are not cached
  embedding::QueryCache::Options query_cache;
  std::string allowed_hosts;  // HostList::Parse's; empty: pictures by URI are off
  embedding::FetchOptions fetch;
  int max_uri_calls = 8;
  EmbedStreams::Options streams;

  void Bind(Config& config);
};

// Loads every model. FailedPrecondition when the default is none of them; otherwise a model's own
// error, naming its folder.
absl::StatusOr<ServiceSet> MakeEmbeddingServices(const EmbeddingConfig& config);

// Over models by name that the caller has loaded; config.models is not looked at.
using EmbeddingModels = std::map<std::string, std::shared_ptr<const embedding::EmbeddingModel>>;
absl::StatusOr<ServiceSet> MakeEmbeddingServices(const EmbeddingConfig& config,
                                                 const EmbeddingModels& models);

}  // namespace palate::services
