#include "retrieval/index_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/fakes/exact_segments.h"
#include "tests/fakes/gated_segments.h"
#include "tests/retrieval/test_items.h"

namespace palate::retrieval {
namespace {

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

TEST_F(IndexSetTest, RequestOfManyVectorsIsTakenAsOneOrRefusedAsAWhole) {
  constexpr int kRequests = 20;
  GatedSegments gated;
  Mutex mutex;
  std::vector<absl::StatusOr<SearchResponse>> answers;
  const auto keep = [&](absl::StatusOr<SearchResponse> response) {
    MutexLock lock(mutex);
    answers.push_back(std::move(response));
  };
  auto set = Make(gated, {.search_threads = 4, .search_queue_limit = kRequests});
  ASSERT_TRUE(set->Upsert(TestConfig()).index->Apply({TestItem(random_, 1, 8)}, {}).ok());
  SearchRequest request = RequestFor(RandomUnitVector(random_, 8), 1);
  while (request.queries.size() < 8) request.queries.push_back(request.queries.front());

  // One request holds all threads, of which three help it. Others wait, and more are refused.
  set->SearchAsync("movies", request, keep);
  gated.WaitForSearch(4);
  for (int i = 0; i < kRequests; ++i) set->SearchAsync("movies", request, keep);
  EXPECT_EQ(set->GetStats().queued_searches, size_t{kRequests});
  {
    MutexLock lock(mutex);
    EXPECT_TRUE(answers.empty());
  }
  const absl::Status refused = set->Search("movies", request).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;

  gated.Open();
  set.reset();  // runs the queued searches
  MutexLock lock(mutex);
  ASSERT_EQ(answers.size(), size_t{kRequests + 1});
  for (const auto& answer : answers) {
    ASSERT_TRUE(answer.ok()) << answer.status();
    for (const SearchResult& result : answer->results) EXPECT_TRUE(result.ok()) << result.status();
  }
}

TEST_F(IndexSetTest, HelpersOfRunningRequestsTakeNoPlaceOfWaitingOnes) {
  GatedSegments gated(/*only_second_axis=*/true);
  std::atomic<int> answered{0};
  const auto count = [&](absl::StatusOr<SearchResponse> response) {
    EXPECT_TRUE(response.ok()) << response.status();
    ++answered;
  };
  auto set = Make(gated, {.search_threads = 2, .search_queue_limit = 1});
  ASSERT_TRUE(set->Upsert(TestConfig()).index->Apply({TestItem(random_, 1, 2)}, {}).ok());
  SearchRequest slow = RequestFor({0, 1}, 1);
  set->SearchAsync("movies", slow, count);
  gated.WaitForSearch(1);
  set->SearchAsync("movies", slow, count);
  gated.WaitForSearch(2);

  // Both threads are busy. The request that waits is the only one that may.
  set->SearchAsync("movies", slow, count);
  EXPECT_TRUE(absl::IsResourceExhausted(set->Search("movies", slow).status()));
  gated.Open();
  while (answered < 3) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) {
    SearchRequest many = RequestFor({1, 0}, 1);
    while (many.queries.size() < 8) many.queries.push_back(many.queries.front());
    EXPECT_TRUE(set->Search("movies", many).ok()) << i;
  }
}

TEST_F(IndexSetTest, AnswersAtTheDeadlineWithTheQueriesThatHaveEndedAndNamesTheOthers) {
  GatedSegments gated(/*only_second_axis=*/true);
  auto set = Make(gated, {.search_threads = 1});
  ASSERT_TRUE(set->Upsert(TestConfig()).index->Apply({TestItem(random_, 1, 2)}, {}).ok());
  SearchRequest request = RequestFor({1, 0}, 1);
  request.queries.push_back({.vector = {.space = kText, .values = {0, 1}}, .k = 1});
  request.queries.push_back({.vector = {.space = kText, .values = {1, 0}}, .k = 1});
  request.context.deadline = clock_.Now() + absl::Milliseconds(200);

  const absl::StatusOr<SearchResponse> response = set->Search("movies", request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->results.size(), 3u);
  EXPECT_TRUE(response->results[0].ok()) << response->results[0].status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(response->results[1].status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(response->results[2].status()));

  // The only thread is still busy, so that no query of the next request can begin.
  request.context.deadline = clock_.Now() + absl::Milliseconds(50);
  EXPECT_TRUE(absl::IsDeadlineExceeded(set->Search("movies", request).status()));
  gated.Open();
  request.context.deadline = absl::InfiniteFuture();
  EXPECT_TRUE(set->Search("movies", request).ok());
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
