// palate-featurestore: stores items, users and events. Serves FeatureStoreService and
// CatalogService.

#include "services/featurestore/feature_store_service.h"
#include "services/runtime/run_service.h"

int main(int argc, char** argv) {
  using palate::services::FeatureStoreConfig;
  return palate::services::RunService<FeatureStoreConfig>(
      argc, argv, "palate-featurestore", "Stores items, users and events.", 7101,
      &palate::services::MakeRemoteFeatureStoreServices);
}
