// palate-retrieval: vectors to candidates. Serves RetrievalService and follows the feature store.

#include "services/retrieval/retrieval_service.h"
#include "services/runtime/run_service.h"

int main(int argc, char** argv) {
  using palate::services::RetrievalConfig;
  return palate::services::RunService<RetrievalConfig>(
      argc, argv, "palate-retrieval", "Finds the items nearest to vectors.", 7103,
      &palate::services::MakeRemoteRetrievalServices);
}
