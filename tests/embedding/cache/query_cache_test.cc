#include "embedding/cache/query_cache.h"

#include <gtest/gtest.h>

#include "tests/embedding/cache/cache_folder.h"
#include "tests/eventually.h"

namespace palate::embedding {
namespace {

const QueryCache::Owner kAda = {"shop", "ada"};
const QueryCache::Owner kBob = {"shop", "bob"};

class QueryCacheTest : public ::testing::Test {
 protected:
  void Make(const QueryCache::Options& options) {
    cache_ = std::make_unique<QueryCache>(options, clock_);
  }
  void Put(const QueryCache::Owner& owner, int number) {
    cache_->Put(owner, cache_->generation(), {{ContentOf(number), VectorOf(number)}});
  }
  bool Holds(const QueryCache::Owner& owner, int number) {
    const std::string key = ContentOf(number);
    return cache_->Get(owner, {&key, 1})[0].has_value();
  }

  ManualClock clock_{absl::FromUnixSeconds(1'000'000)};
  std::unique_ptr<QueryCache> cache_ = std::make_unique<QueryCache>(QueryCache::Options(), clock_);
};

TEST_F(QueryCacheTest, GivesBackWhatWasPutToItsOwnerOnly) {
  Put(kAda, 1);
  EXPECT_TRUE(Holds(kAda, 1));
  EXPECT_FALSE(Holds(kBob, 1));
  EXPECT_FALSE(Holds({"other shop", "ada"}, 1));
}

TEST_F(QueryCacheTest, EntryIsGoneTenMinutesAfterItWasPutHoweverOftenItWasRead) {
  Put(kAda, 1);
  clock_.Advance(absl::Minutes(9));
  EXPECT_TRUE(Holds(kAda, 1));
  clock_.Advance(absl::Minutes(1));
  EXPECT_FALSE(Holds(kAda, 1));
  EXPECT_EQ(cache_->stats().bytes, 0);
}

TEST_F(QueryCacheTest, LongerLifeThanTenMinutesIsCutToThem) {
  Make({.max_bytes = 1 << 20, .life = absl::Hours(5)});
  Put(kAda, 1);
  clock_.Advance(absl::Minutes(10));
  EXPECT_FALSE(Holds(kAda, 1));
}

TEST(QueryCacheExpiryTest, ForgetsWhatHasExpiredThoughNobodyAsks) {
  const SystemClock clock;
  QueryCache cache({.max_bytes = 1 << 20, .life = absl::Milliseconds(30)}, clock);
  cache.Put(kAda, cache.generation(), {{ContentOf(1), VectorOf(1)}});
  EXPECT_TRUE(Eventually([&] { return cache.stats().vectors == 0; }));
  EXPECT_EQ(cache.stats().bytes, 0);
}

TEST_F(QueryCacheTest, DropRemovesAllOfOneUserAndNothingElse) {
  Put(kAda, 1);
  Put(kAda, 2);
  Put(kBob, 1);

  EXPECT_EQ(cache_->Drop(kAda), 2);
  EXPECT_FALSE(Holds(kAda, 1));
  EXPECT_FALSE(Holds(kAda, 2));
  EXPECT_TRUE(Holds(kBob, 1));
  EXPECT_EQ(cache_->Drop(kAda), 0);
}

TEST_F(QueryCacheTest, AnswerThatWasOnItsWayWhileItsUserWasDroppedIsNotKept) {
  const int64_t generation = cache_->generation();
  cache_->Drop(kAda);
  cache_->Put(kAda, generation, {{ContentOf(1), VectorOf(1)}});
  EXPECT_FALSE(Holds(kAda, 1));

  Put(kAda, 2);
  EXPECT_TRUE(Holds(kAda, 2)) << "queries after the drop are cached";
}

TEST_F(QueryCacheTest, StaysWithinItsBytesAndDropsTheOldestFirst) {
  Make({.max_bytes = 64 << 10});
  for (int i = 0; i < 1000; ++i) Put(i % 2 == 0 ? kAda : kBob, i);
  const CacheStats stats = cache_->stats();
  EXPECT_LE(stats.bytes, 64 << 10);
  EXPECT_GT(stats.vectors, 20);
  EXPECT_FALSE(Holds(kAda, 0));
  EXPECT_TRUE(Holds(kBob, 999));
}

TEST_F(QueryCacheTest, EntryThatIsPutTwiceCountsOnce) {
  Put(kAda, 1);
  const int64_t bytes = cache_->stats().bytes;
  Put(kAda, 1);
  EXPECT_EQ(cache_->stats().bytes, bytes);
  EXPECT_EQ(cache_->stats().vectors, 1);
}

TEST_F(QueryCacheTest, EntryLargerThanTheCacheIsNotKept) {
  Make({.max_bytes = 1024});
  Put(kAda, 1);
  EXPECT_FALSE(Holds(kAda, 1));
}

}  // namespace
}  // namespace palate::embedding
