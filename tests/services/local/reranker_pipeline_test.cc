// A published reranker as the server's default ranking model: the pipeline's rerank stage uses its
// scores.
#include <gtest/gtest.h>

#include "services/local/local_stack.h"
#include "tests/models/golden.h"
#include "tests/services/processes.h"
#include "tests/services/shop.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

TEST(RerankerPipelineTest, OrdersRecommendationsAsTheDefaultModel) {
  const models::Golden golden("qwen3-gqa");
  PALATE_SKIP_WITHOUT(golden);

  const TempFolder folder;

  StackConfig config;
  config.data_dir = folder.path();
  config.server.listen = "";
  config.embedding.models = {{"dual_encoder", BuiltinModel("dual_encoder")}};
  config.ranking.models = {{"judge", golden.checkpoint()}};
  config.ranking.default_model = "judge";

  auto stack = LocalStack::Start(config);
  ASSERT_TRUE(stack.ok()) << stack.status();

  Shop shop((*stack)->channel());
  ASSERT_TRUE(shop.Fill().ok());
  const auto response = shop.Recommend("u0", absl::Seconds(60), types::v1::EXPLAIN_MODE_LLM);
  ASSERT_TRUE(response.ok()) << response.status();

  EXPECT_EQ(FindStage(*response, shop_pb::STAGE_RERANK).status(), shop_pb::STAGE_STATUS_RAN);
  ASSERT_GT(response->results_size(), 0);
  for (const auto& result : response->results()) {
    EXPECT_TRUE(result.has_rerank_score());
    EXPECT_FALSE(result.explanation().text().empty());
  }
}

}  // namespace
}  // namespace palate::services
