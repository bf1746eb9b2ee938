// Searches while the index changes and merges: each reader must see one whole state. Runs without
// FAISS, so that it can run under ThreadSanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "retrieval/index.h"
#include "tests/fakes/exact_segments.h"
#include "tests/retrieval/test_items.h"

namespace palate::retrieval {
namespace {

constexpr int kGroup = 40;  // items that are always changed together
constexpr int kRounds = 150;

// One generation of the group: every item has the generation as its year.
std::vector<ItemUpdate> Generation(std::mt19937& random, int64_t generation) {
  std::vector<ItemUpdate> items;
  for (int i = 0; i < kGroup; ++i) {
    items.push_back(TestItem(random, i, 8, generation));
    items.back().attributes["year"] = generation;
  }
  return items;
}

// A search with a filter for two neighboring generations has to find the whole group in one of the
// two generations.
void CheckOneState(const CatalogIndex& index, std::mt19937& random,
                   const std::atomic<int64_t>& newest) {
  const int64_t at_least = newest.load();
  SearchRequest request = RequestFor(RandomUnitVector(random, 8), 1000);
  const SearchResult all = FirstResult(index.Search(request));
  ASSERT_TRUE(all.ok()) << all.status();
  std::set<std::string> ids;
  for (const SearchHit& hit : *all)
    ASSERT_TRUE(ids.insert(hit.item_id).second) << hit.item_id << " twice";
  ASSERT_EQ(ids.size(), static_cast<size_t>(kGroup));
  request.filter =
      std::make_shared<const Filter>(*index.ParseFilter("year < " + std::to_string(at_least)));
  const SearchResult outdated = FirstResult(index.Search(request));
  ASSERT_TRUE(outdated.ok());
  ASSERT_TRUE(outdated->empty()) << "rows older than what was applied before the search began";
}

TEST(CatalogIndexThreadsTest, ReadersSeeWholeStatesDuringUpdatesAndMerges) {
  const ExactSegments segments;
  const SystemClock clock;
  CatalogIndex index(TestConfig(), {.delta_rows = 100}, segments, clock);
  std::mt19937 random(1);
  ASSERT_TRUE(index.Apply(Generation(random, 1), {}).ok());

  std::atomic<int64_t> newest{1};
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int reader = 0; reader < 3; ++reader) {
    threads.emplace_back([&, reader] {
      std::mt19937 own_random(100 + reader);
      while (!done.load()) ASSERT_NO_FATAL_FAILURE(CheckOneState(index, own_random, newest));
    });
  }
  threads.emplace_back([&] {
    while (!done.load()) ASSERT_TRUE(index.Maintain().ok());
  });

  for (int64_t generation = 2; generation <= kRounds; ++generation) {
    ASSERT_TRUE(index.Apply(Generation(random, generation), {}).ok());
    newest.store(generation);
  }

  done.store(true);
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(MaintainFully(index).ok());
  EXPECT_EQ(index.GetStats().items, kGroup);
}

TEST(CatalogIndexThreadsTest, MergeKeepsDeletionsThatHappenWhileItRuns) {
  const ExactSegments segments;
  const SystemClock clock;
  CatalogIndex index(TestConfig(), {.delta_rows = 50}, segments, clock);
  std::mt19937 random(2);
  constexpr int kItems = 600;
  for (int begin = 0; begin < kItems; begin += 20) {
    std::vector<ItemUpdate> items;
    for (int i = begin; i < begin + 20; ++i) items.push_back(TestItem(random, i, 8));
    ASSERT_TRUE(index.Apply(items, {}).ok());
  }

  std::atomic<bool> done{false};
  std::thread merger([&] {
    while (!done.load()) ASSERT_TRUE(index.Maintain().ok());
  });

  std::vector<int> order(kItems);
  for (int i = 0; i < kItems; ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);
  for (int i = 0; i < kItems - 10; ++i) {
    const std::string id = TestItem(random, order[i], 8).item_id;
    ASSERT_EQ(index.Apply({}, {{id, 2}})->applied, 1);
    const SearchResult left =
        FirstResult(index.Search(RequestFor(RandomUnitVector(random, 8), 1000)));
    ASSERT_TRUE(left.ok());
    ASSERT_EQ(left->size(), static_cast<size_t>(kItems - 1 - i));
  }

  done.store(true);
  merger.join();
  EXPECT_EQ(index.GetStats().items, 10);
}

}  // namespace
}  // namespace palate::retrieval
