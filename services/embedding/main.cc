// palate-embedding: embeds items and queries as vectors. Serves EmbeddingService.

#include "services/embedding/embedding_service.h"
#include "services/runtime/run_service.h"

int main(int argc, char** argv) {
  using palate::services::EmbeddingConfig;
  return palate::services::RunService<EmbeddingConfig>(argc, argv, "palate-embedding",
                                                       "Embeds items and queries as vectors.", 7102,
                                                       &palate::services::MakeEmbeddingServices);
}
