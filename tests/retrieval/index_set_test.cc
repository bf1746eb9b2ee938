#include "retrieval/index_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/fakes/exact_segments.h"
#include "tests/retrieval/test_items.h"

namespace palate::retrieval {
namespace {

// Blocks searches until the test releases them.
class GatedSegments final : public VectorSegmentFactory {
 public:
  absl::StatusOr<std::unique_ptr<VectorSegment>> Build(int dimensions,
                                                       const std::vector<float>& vectors,
                                                       bool) const override {
    return std::make_unique<Gated>(*this, dimensions, vectors);
  }
  absl::StatusOr<std::unique_ptr<VectorSegment>> Deserialize(int, int64_t,
                                                             absl::string_view) const override {
    return absl::UnimplementedError("not read back in this test");
  }
  std::string Describe() const override { return "gated scan"; }

  void Open() {
    MutexLock lock(mutex_);
    open_ = true;
    changed_.SignalAll();
  }
  void WaitForSearch() {
    MutexLock lock(mutex_);
    while (waiting_ == 0) changed_.Wait(mutex_);
  }

 private:
  class Gated final : public VectorSegment {
   public:
    Gated(const GatedSegments& gate, int dimensions, std::vector<float> vectors)
        : gate_(gate), exact_(dimensions, std::move(vectors)) {}
    int64_t size() const override { return exact_.size(); }
    int dimensions() const override { return exact_.dimensions(); }
    int64_t memory_bytes() const override { return exact_.memory_bytes(); }
    absl::StatusOr<std::vector<VectorHit>> Search(const float* query, int64_t k,
                                                  const Bitmap* allowed) const override {
      gate_.Pass();
      return exact_.Search(query, k, allowed);
    }
    void Reconstruct(int64_t index, float* out) const override { exact_.Reconstruct(index, out); }
    absl::StatusOr<std::string> Serialize() const override { return exact_.Serialize(); }

   private:
    const GatedSegments& gate_;
    const ExactSegment exact_;
  };

  void Pass() const {
    MutexLock lock(mutex_);
    ++waiting_;
    changed_.SignalAll();
    while (!open_) changed_.Wait(mutex_);
  }

  mutable Mutex mutex_;
  mutable CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  mutable int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

class IndexSetTest : public ::testing::Test {
 protected:
  std::unique_ptr<IndexSet> Make(const VectorSegmentFactory& segments,
                                 IndexSetOptions options = {}) {
    auto set = IndexSet::Create(options, segments, clock_);
    EXPECT_TRUE(set.ok()) << set.status();
    return *std::move(set);
  }

  std::mt19937 random_{9};
  SystemClock clock_;
  ExactSegments exact_;
};

TEST_F(IndexSetTest, AnswersBatchesLikeSingleSearches) {
  const auto set = Make(exact_, {.search_threads = 3});
  const auto index = set->Upsert(TestConfig()).index;
  ASSERT_TRUE(index->Apply(TestItems(random_, 300, 8), {}).ok());
  SearchRequest batch = RequestFor(RandomUnitVector(random_, 8), 25);
  for (int i = 1; i < 64; ++i)
    batch.queries.push_back(
        {.vector = {.space = kText, .values = RandomUnitVector(random_, 8)}, .k = i});
  const absl::StatusOr<SearchResponse> pooled = set->Search("movies", batch);
  ASSERT_TRUE(pooled.ok()) << pooled.status();
  EXPECT_EQ(pooled->results, index->Search(batch)->results);
}

TEST_F(IndexSetTest, ReportsUnknownCatalogsAndWrongRequests) {
  const auto set = Make(exact_);
  EXPECT_TRUE(absl::IsNotFound(set->Search("movies", RequestFor({1.0f}, 1)).status()));
  set->Upsert(TestConfig());
  EXPECT_TRUE(absl::IsInvalidArgument(set->Search("movies", SearchRequest()).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(FirstResult(set->Search("movies", RequestFor({1.0f}, 0))).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(IndexSet::Create({.search_threads = 0}, exact_, clock_).status()));
}

TEST_F(IndexSetTest, RefusesSearchesAtOnceWhenQueueIsFull) {
  GatedSegments gated;
  std::atomic<int> answered{0};
  auto set = Make(gated, {.search_threads = 1, .search_queue_limit = 1});
  ASSERT_TRUE(set->Upsert(TestConfig()).index->Apply({TestItem(random_, 1, 8)}, {}).ok());
  const auto count = [&](absl::StatusOr<SearchResponse> response) {
    EXPECT_TRUE(response.ok()) << response.status();
    ++answered;
  };
  const SearchRequest request = RequestFor(RandomUnitVector(random_, 8), 1);
  set->SearchAsync("movies", request, count);
  gated.WaitForSearch();
  set->SearchAsync("movies", request, count);  // waits in the queue
  EXPECT_TRUE(absl::IsResourceExhausted(set->Search("movies", request).status()));
  EXPECT_EQ(set->GetStats().queued_searches, 1u);
  gated.Open();
  set.reset();  // runs the queued searches
  EXPECT_EQ(answered.load(), 2);
}

TEST_F(IndexSetTest, ReplacesCatalogThatWasMadeAnew) {
  const auto set = Make(exact_);
  CatalogConfig config = TestConfig();
  EXPECT_TRUE(set->Upsert(config).created);
  ASSERT_TRUE(set->Upsert(config).index->Apply({TestItem(random_, 1)}, {}).ok());
  EXPECT_TRUE(set->Upsert(config).needs_listing) << "still";
  (*set->Find("movies"))->EndListing({"item-000001"});
  EXPECT_FALSE(set->Upsert(config).needs_listing);
  config.create_time += absl::Seconds(1);
  const IndexSet::UpsertResult anew = set->Upsert(config);
  EXPECT_TRUE(anew.created);
  EXPECT_TRUE(anew.needs_listing);
  EXPECT_EQ(anew.index->GetStats().items, 0);
}

TEST_F(IndexSetTest, SearchesFromManyThreadsWhileItemsAreWrittenAndMerged) {
  const auto set = Make(exact_, {.search_threads = 2, .index = {.delta_rows = 50}});
  const auto index = set->Upsert(TestConfig()).index;
  ASSERT_TRUE(index->Apply(TestItems(random_, 50, 8), {}).ok());

  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&, caller] {
      std::mt19937 own_random(caller);
      for (int i = 0; i < 200; ++i) {
        const SearchResult found =
            FirstResult(set->Search("movies", RequestFor(RandomUnitVector(own_random, 8), 50)));
        ASSERT_TRUE(found.ok()) << found.status();
        ASSERT_EQ(found->size(), 50u);
      }
    });
  }

  for (int i = 50; i < 1000; ++i) ASSERT_TRUE(index->Apply({TestItem(random_, i, 8)}, {}).ok());
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(index->GetStats().items, 1000);
}

}  // namespace
}  // namespace palate::retrieval
