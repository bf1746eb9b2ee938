// The embedding service as a whole: configuration, models, and the gRPC service over them.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "embedding/embedder.h"
#include "services/runtime/config.h"
#include "services/runtime/service_set.h"
#include "services/runtime/share.h"

namespace palate::services {

struct EmbeddingConfig {
  std::map<std::string, std::string> models = {{"pair", SharedFile("models/pair")}};  // folders by name
  std::string default_model = "pair";
  int threads = 16;
  int queue_limit = 256;
  int max_bulk_calls = 4;
  embedding::EmbedderOptions embedder;

  void Bind(Config& config);
};

// Loads every model. FailedPrecondition when the default is none of them; otherwise a model's own error, naming its folder.
absl::StatusOr<ServiceSet> MakeEmbeddingServices(const EmbeddingConfig& config);

}  // namespace palate::services
