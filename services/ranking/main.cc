// palate-ranking: ranks and explains candidates. Serves RankingService.

#include "services/ranking/ranking_service.h"
#include "services/runtime/run_service.h"

int main(int argc, char** argv) {
  using palate::services::RankingConfig;
  return palate::services::RunService<RankingConfig>(
      argc, argv, "palate-ranking", "Ranks and explains candidates with a language model.", 7104,
      &palate::services::MakeRankingServices);
}
