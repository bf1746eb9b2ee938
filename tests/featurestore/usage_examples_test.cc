// The usage examples in the headers of featurestore/, compiled and run.
#include "tests/usage_examples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "featurestore/active_model_worker.h"
#include "featurestore/embedding_worker.h"
#include "featurestore/feature_store.h"
#include "tests/featurestore/store_fixture.h"
#include "tests/temp_folder.h"

namespace palate::featurestore {
namespace {

void ExpectExampleOf(const std::string& header) {
  ExpectTestHasExampleOf(header, "tests/featurestore/usage_examples_test.cc");
}

absl::StatusOr<UserContext> FeatureStoreExample(const std::string& dir) {
  StoreOptions options;
  options.dir = dir;
  PALATE_ASSIGN_OR_RETURN(const auto store, FeatureStore::Open(options));

  Catalog catalog;
  catalog.id = "shop";
  catalog.event_types = {{.name = "view", .weight = 1, .marks_seen = true}};
  PALATE_RETURN_IF_ERROR(store->CreateCatalog(catalog).status());

  ItemWrite write;
  write.item.id = "chair";
  write.item.title = "A chair";
  PALATE_RETURN_IF_ERROR(store->UpsertItems("shop", {write}).status());

  Event event;
  event.user_id = "u1";
  event.item_id = "chair";
  event.type = "view";
  event.time = absl::Now();
  PALATE_RETURN_IF_ERROR(store->WriteEvents("shop", {event}).status());

  return store->GetUserContext({.catalog = "shop", .user_id = "u1"});
}

TEST(UsageExamplesTest, FeatureStore) {
  ExpectExampleOf("featurestore/feature_store.h");
  const TempFolder dir;
  const absl::StatusOr<UserContext> context = FeatureStoreExample(dir.path());

  ASSERT_TRUE(context.ok()) << context.status();
  ASSERT_EQ(context->events.size(), 1u);
  EXPECT_EQ(context->ItemOf(context->events[0])->item.title, "A chair");
}

// Gives every item the same vector.
class ConstantEmbedder final : public ItemEmbedder {
 public:
  absl::StatusOr<std::vector<SpaceKey>> Spaces(const Catalog&) override {
    return std::vector<SpaceKey>{{"text", "m1"}};
  }
  absl::StatusOr<std::vector<absl::StatusOr<EmbeddedItem>>> Embed(
      const Catalog&, const std::vector<EmbedItem>& items) override {
    const EmbeddedItem made = {.vectors = {Vector("text", "m1", {1, 0})}};
    return std::vector<absl::StatusOr<EmbeddedItem>>(items.size(), made);
  }
};

absl::Status EmbeddingWorkerExample(FeatureStore& store, ItemEmbedder& embedder) {
  EmbeddingWorker worker(&store, &embedder);  // embedder: an ItemEmbedder
  if (!worker.WaitUntilIdle(absl::Now() + absl::Minutes(1))) {
    return absl::DeadlineExceededError(worker.stats().last_error.ToString());
  }
  return absl::OkStatus();
}

absl::Status ActiveModelWorkerExample(FeatureStore& store, ItemEmbedder& embedder) {
  ActiveModelWorker active(&store, &embedder);  // beside EmbeddingWorker worker(...)
  if (active.stats().failed_calls > 0) return active.stats().last_error;
  return absl::OkStatus();
}

class EmbeddingWorkerExampleTest : public StoreTest {};

TEST_F(EmbeddingWorkerExampleTest, EmbedsTheBacklog) {
  ExpectExampleOf("featurestore/embedding_worker.h");
  OpenWithShop();
  Put(Write("a"));
  ConstantEmbedder embedder;

  EXPECT_EQ(EmbeddingWorkerExample(*store_, embedder), absl::OkStatus());
  EXPECT_EQ(Read("a", {.all_spaces = true}).vectors.size(), 1u);
}

TEST_F(EmbeddingWorkerExampleTest, RunsBesideTheOneForActiveModels) {
  ExpectExampleOf("featurestore/active_model_worker.h");
  OpenWithShop();
  ConstantEmbedder embedder;
  EXPECT_EQ(ActiveModelWorkerExample(*store_, embedder), absl::OkStatus());
}

}  // namespace
}  // namespace palate::featurestore
