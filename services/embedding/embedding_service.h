// The complete embedding service: configuration, models, caches and the gRPC service.
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
  embedding::EmbeddingModelOptions load;        // for every model; `adapters` has the adapters
  std::map<std::string, std::string> adapters;  // folders of LoRA adapters by model name
  int threads = 16;
  int queue_limit = 256;
  int max_bulk_calls = 4;
  absl::Duration stuck_after = absl::Seconds(60);
  embedding::EmbedderOptions embedder;
  embedding::ItemCache::Options item_cache;  // empty dir: items are not cached
  embedding::QueryCache::Options query_cache;
  std::string allowed_hosts;  // for HostList::Parse; empty: images by URI are disabled
  embedding::FetchOptions fetch;
  int max_uri_calls = 8;
  EmbedStreams::Options streams;

  void Bind(Config& config);
};

// Loads every model. FailedPrecondition when the default model is not one of them; otherwise the
// error of the model that failed to load, with its folder.
absl::StatusOr<ServiceSet> MakeEmbeddingServices(const EmbeddingConfig& config);

// Uses the caller's loaded models, by name, instead of config.models.
using EmbeddingModels = std::map<std::string, std::shared_ptr<const embedding::EmbeddingModel>>;
absl::StatusOr<ServiceSet> MakeEmbeddingServices(const EmbeddingConfig& config,
                                                 const EmbeddingModels& models);

}  // namespace palate::services
