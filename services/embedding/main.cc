// palate-embedding: items and queries to vectors. Serves EmbeddingService.

#include "services/embedding/embedding_service.h"
#include "services/runtime/run_service.h"

int main(int argc, char** argv) {
  using palate::services::EmbeddingConfig;
  return palate::services::RunService<EmbeddingConfig>(
      argc, argv, "palate-embedding", "Turns items and queries into vectors.", 7102,
      &palate::services::MakeEmbeddingServices);
}
