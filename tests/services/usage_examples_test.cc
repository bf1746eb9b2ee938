// The usage examples in the headers of services/clients and services/local, compiled and run over
// all services in one process.
#include "tests/usage_examples.h"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "services/clients/change_source_client.h"
#include "services/clients/embedding_client.h"
#include "services/clients/feature_store_client.h"
#include "services/clients/ranking_client.h"
#include "services/clients/retrieval_client.h"
#include "services/local/local_stack.h"
#include "services/runtime/channel.h"
#include "tests/eventually.h"
#include "tests/services/processes.h"
#include "tests/services/shop.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace usage_examples {
namespace {

// Expects that this file has the example of `header`.
void ExpectExampleOf(const std::string& header) {
  ExpectTestHasExampleOf(header, "tests/services/usage_examples_test.cc");
}

absl::Status UseStore(const std::string& address, const CallContext& context) {
  FeatureStoreClient store(TcpChannel(address));
  PALATE_ASSIGN_OR_RETURN(const UserContext user,
                          store.GetUserContext({.catalog = "shop", .user_id = "u1"}, context));

  EXPECT_EQ(user.events.size(), 4u);
  return absl::OkStatus();
}

absl::Status UseChanges(const std::string& address) {
  ChangeSourceClient source(TcpChannel(address), /*call_timeout=*/absl::Seconds(10));
  PALATE_ASSIGN_OR_RETURN(const std::string position, source.CurrentPosition());
  PALATE_ASSIGN_OR_RETURN(const retrieval::ChangeBatch batch,
                          source.WatchChanges(position, /*timeout=*/absl::Milliseconds(10)));

  EXPECT_FALSE(batch.next_position.empty());
  return absl::OkStatus();
}

absl::StatusOr<SpaceVector> UseEmbedder(const std::string& address, const CallContext& context) {
  EmbeddingClient embedder(TcpChannel(address));
  pipeline::EmbedQuery query;
  query.text = "a red lamp";
  PALATE_ASSIGN_OR_RETURN(const std::vector<pipeline::QueryVector> vectors,
                          embedder.Embed(query, context));

  if (vectors.size() != 1) return absl::InternalError(absl::StrCat(vectors.size(), " vectors"));
  return vectors[0].vector;
}

absl::Status UseRetriever(const std::string& address, const SpaceVector& vector,
                          const CallContext& context) {
  RetrievalClient retriever(TcpChannel(address));
  pipeline::RetrievalRequest request;
  request.catalog = "shop";
  request.queries = {{.vector = vector, .k = 10}};
  PALATE_ASSIGN_OR_RETURN(const std::vector<pipeline::RetrievalResult> results,
                          retriever.Search(request, context));

  return results.size() == 1 ? results[0].status() : absl::InternalError("not one result");
}

absl::Status UseRanker(const std::string& address, const CallContext& context) {
  RankingClient ranker(TcpChannel(address));
  ranking::RankInput input;
  input.candidates.resize(1);
  input.candidates[0].item_id = "lamp";
  input.candidates[0].title = "Red lamp";
  PALATE_ASSIGN_OR_RETURN(const ranking::RankOutput output, ranker.Rank(input, context));

  EXPECT_EQ(output.scores.size(), 1u);
  return absl::OkStatus();
}

absl::Status UseClients(const std::string& address) {
  Shop shop(DialTcp(address));
  PALATE_RETURN_IF_ERROR(shop.Fill());
  EXPECT_TRUE(Eventually([&] {
    const auto found = shop.Search("a red lamp", absl::Seconds(20));
    return found.ok() && found->results_size() == 5;
  }));

  const CallContext context{.deadline = absl::Now() + absl::Seconds(60)};
  PALATE_RETURN_IF_ERROR(UseStore(address, context));
  PALATE_RETURN_IF_ERROR(UseChanges(address));
  PALATE_ASSIGN_OR_RETURN(const SpaceVector vector, UseEmbedder(address, context));
  PALATE_RETURN_IF_ERROR(UseRetriever(address, vector, context));
  return HasLanguageModel() ? UseRanker(address, context) : absl::OkStatus();
}

absl::Status UseStack(const std::string& data_dir, const std::string& config_path) {
  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<LocalStack> stack,
                          LocalStack::Open(data_dir, config_path, "127.0.0.1:0"));
  const std::string address = absl::StrCat("127.0.0.1:", stack->port());

  return UseClients(address);
}

TEST(ServicesUsageExampleTest, ClientsOfALocalStack) {
  for (const char* client : {"change_source", "embedding", "feature_store", "ranking", "retrieval"})
    ExpectExampleOf(absl::StrCat("services/clients/", client, "_client.h"));
  ExpectExampleOf("services/local/local_stack.h");

  const TempFolder folder;
  const std::string config = folder.path() + "/palate.yaml";
  // The built-in models are not where a test binary looks for them.
  std::ofstream(config) << "embedding:\n  models:\n    dual_encoder: "
                        << BuiltinModel("dual_encoder") << "\nranking:\n  models: "
                        << (HasLanguageModel() ? "shopper-lm=" + BuiltinModel("shopper-lm")
                                               : "\"\"")
                        << "\n";
  const absl::Status status = UseStack(folder.path() + "/data", config);
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace usage_examples
}  // namespace palate::services
