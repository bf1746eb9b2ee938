// The usage examples in the headers of embedding/cache, compiled and run.
#include "tests/usage_examples.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/status.h"
#include "embedding/cache/cached_embedder.h"
#include "embedding/cache/content_key.h"
#include "embedding/cache/item_cache.h"
#include "embedding/cache/query_cache.h"
#include "tests/embedding/cache/cache_folder.h"

namespace palate::embedding {
namespace {

constexpr char kThisFile[] = "tests/embedding/cache/usage_examples_test.cc";
constexpr char kExampleFingerprint[] = "f1";

// Has the methods of Embedder that the example needs, without LibTorch.
class OneVectorEmbedder {
 public:
  absl::StatusOr<std::vector<EmbedResult>> Embed(std::vector<EmbedInput> inputs,
                                                 const EmbedOptions&, const CallContext&) {
    ++calls;
    EmbedResult result;
    result.vectors = {{{"text", kExampleFingerprint}, {1.0f, 0.0f}}};
    return std::vector<EmbedResult>(inputs.size(), result);
  }
  ModelInfo info() const {
    ModelInfo info;
    info.dimensions = 2;
    info.spaces = {
        {.name = "text", .fingerprint = kExampleFingerprint, .available = true, .calibration = {}}};
    return info;
  }

  int calls = 0;
};

absl::Status UseCachedEmbedder(OneVectorEmbedder& embedder, ItemCache& item_cache,
                               QueryCache& query_cache, const std::vector<EmbedInput>& inputs) {
  const CallContext context;

  const auto compute = [&embedder](std::vector<EmbedInput> inputs, const EmbedOptions& options,
                                   const CallContext& context) {
    return embedder.Embed(std::move(inputs), options, context);
  };
  CachedEmbedder cached(compute, embedder.info(), &item_cache, &query_cache);
  PALATE_ASSIGN_OR_RETURN(const std::vector<EmbedResult> results,
                          cached.Embed(inputs, {}, {.catalog = "shop", .user_id = ""}, context));

  EXPECT_EQ(results.size(), inputs.size());
  return absl::OkStatus();
}

TEST(UsageExampleTest, CachedEmbedder) {
  ExpectTestHasExampleOf("embedding/cache/cached_embedder.h", kThisFile);

  const CacheFolder folder;
  auto items = ItemCache::Open({folder.dir(), ItemCache::kMinBytes});
  ASSERT_TRUE(items.ok()) << items.status();
  const SystemClock clock;
  QueryCache queries({}, clock);
  OneVectorEmbedder embedder;
  EmbedInput lamp;
  lamp.fields = {"lamp"};

  for (int i = 0; i < 2; ++i) {
    const absl::Status status = UseCachedEmbedder(embedder, **items, queries, {lamp});
    EXPECT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(embedder.calls, 1);
}

CachedVector Computed(const EmbedInput&) { return VectorOf(1); }

absl::Status UseItemCache(const std::string& dir, const EmbedInput& input) {
  const std::string fingerprint = kExampleFingerprint;

  PALATE_ASSIGN_OR_RETURN(const auto cache, ItemCache::Open({.dir = dir}));
  const std::string key =
      ItemCache::Key("shop", ContentDigest(input, /*instruction=*/""), "text", fingerprint);
  if (!cache->Get({key})[0].has_value()) cache->Put({{key, Computed(input)}});

  EXPECT_TRUE(cache->Get({key})[0].has_value());
  return absl::OkStatus();
}

TEST(UsageExampleTest, ItemCache) {
  ExpectTestHasExampleOf("embedding/cache/item_cache.h", kThisFile);

  const CacheFolder folder;
  const absl::Status status = UseItemCache(folder.dir(), EmbedInput());
  EXPECT_TRUE(status.ok()) << status;
}

CachedVector Computed() { return VectorOf(2); }

TEST(UsageExampleTest, QueryCache) {
  ExpectTestHasExampleOf("embedding/cache/query_cache.h", kThisFile);
  const std::string key = "key";

  const SystemClock clock;
  QueryCache cache({.max_bytes = 16 << 20}, clock);
  const QueryCache::Owner ada = {.catalog = "shop", .user_id = "ada"};
  const int64_t generation = cache.generation();
  if (!cache.Get(ada, {key})[0].has_value()) cache.Put(ada, generation, {{key, Computed()}});
  const int64_t dropped = cache.Drop(ada);

  EXPECT_EQ(dropped, 1);
}

}  // namespace
}  // namespace palate::embedding
