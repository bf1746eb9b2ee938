// palate-gateway: the server that product backends call. Serves RecommenderService and
// CatalogService over the four other services.

#include "services/gateway/gateway_service.h"
#include "services/runtime/run_service.h"

int main(int argc, char** argv) {
  using palate::services::GatewayConfig;
  return palate::services::RunService<GatewayConfig>(
      argc, argv, "palate-gateway", "Recommends, searches and ranks over the other services.", 7100,
      &palate::services::MakeGatewayServices);
}
