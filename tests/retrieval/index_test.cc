#include "retrieval/index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <limits>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "retrieval/faiss_segment.h"
#include "tests/retrieval/test_items.h"

namespace palate::retrieval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CatalogIndexTest : public ::testing::Test {
 protected:
  CatalogIndex Make(IndexOptions options = {}) {
    return CatalogIndex(TestConfig(), options, FaissSegments(), clock_);
  }

  // The ids of the hits; a failure of the test if the search fails.
  std::vector<std::string> Find(const CatalogIndex& index, const SearchRequest& request) {
    const SearchResult found = FirstResult(index.Search(request));
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? IdsOf(*found) : std::vector<std::string>();
  }

  std::mt19937 random_{42};
  ManualClock clock_{absl::FromUnixSeconds(1'000'000)};
};

TEST_F(CatalogIndexTest, EqualsBruteForceAtEverySelectivityBeforeAndAfterMerging) {
  constexpr int kItems = 3000;
  CatalogIndex index = Make({.delta_rows = 500});
  const std::vector<ItemUpdate> items = TestItems(random_, kItems);
  for (int begin = 0; begin < kItems; begin += 100) {
    ASSERT_TRUE(index.Apply(absl::MakeSpan(items).subspan(begin, 100), {}).ok());
  }

  for (const bool merged : {false, true}) {
    if (merged) {
      ASSERT_TRUE(MaintainFully(index).ok());
    }
    for (const int matching :
         {0, 1, 2, kItems / 100, kItems / 10, kItems / 2, kItems - 1, kItems}) {
      for (const int k : {1, 10, 100, 1000}) {
        SearchRequest request = RequestFor(RandomUnitVector(random_, 16), k);
        request.filter = ParsedFilter(index, absl::StrCat("year < ", matching));
        const std::vector<std::string> expected = NaiveSearch(
            items, request.queries.front().vector.values, k, [&](const ItemUpdate& item) {
              return std::get<int64_t>(item.attributes.at("year")) < matching;
            });
        ASSERT_EQ(Find(index, request), expected)
            << matching << " of " << kItems << ", k " << k << ", merged " << merged;
      }
    }
  }

  EXPECT_GT(index.GetStats().merges, 0);
}

TEST_F(CatalogIndexTest, BreaksTiesByItemIdAcrossSegments) {
  CatalogIndex index = Make({.delta_rows = 8});
  std::vector<ItemUpdate> items = TestItems(random_, 200);
  for (ItemUpdate& item : items) item.vectors = items.front().vectors;
  std::shuffle(items.begin(), items.end(), random_);
  for (const ItemUpdate& item : items) ASSERT_TRUE(index.Apply({item}, {}).ok());

  const SearchRequest request = RequestFor(items.front().vectors.front().values, 5);
  const std::vector<std::string> expected = {"item-000000", "item-000001", "item-000002",
                                             "item-000003", "item-000004"};
  EXPECT_EQ(Find(index, request), expected);

  ASSERT_TRUE(MaintainFully(index).ok());
  EXPECT_EQ(Find(index, request), expected);
}

TEST_F(CatalogIndexTest, ReturnsSameScoresAloneAndInBatch) {
  CatalogIndex index = Make();
  ASSERT_TRUE(index.Apply(TestItems(random_, 500), {}).ok());
  SearchRequest batch = RequestFor(RandomUnitVector(random_, 16), 20);
  for (int i = 1; i < 40; ++i)
    batch.queries.push_back(
        {.vector = {.space = kText, .values = RandomUnitVector(random_, 16)}, .k = 20});

  const absl::StatusOr<SearchResponse> together = index.Search(batch);
  ASSERT_TRUE(together.ok()) << together.status();
  for (size_t i = 0; i < batch.queries.size(); ++i) {
    const SearchResult alone =
        FirstResult(index.Search(RequestFor(batch.queries[i].vector.values, 20)));
    ASSERT_TRUE(alone.ok());
    EXPECT_EQ(alone, together->results[i]);
  }
}

TEST_F(CatalogIndexTest, StartsNoThreadsForSearchesOfSeveralCallers) {
  CatalogIndex index = Make();
  ASSERT_TRUE(index.Apply(TestItems(random_, 2000, 64), {}).ok());
  const auto count_threads = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                         std::filesystem::directory_iterator());
  };

  const auto before = count_threads();
  std::atomic<int> searching{3};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&, caller] {
      std::mt19937 own_random(caller);
      for (const char* filter : {"", "year < 1500", "year < 20"}) {
        SearchRequest request = RequestFor(RandomUnitVector(own_random, 64), 200);
        request.filter = ParsedFilter(index, filter);
        EXPECT_TRUE(FirstResult(index.Search(request)).ok());
      }
      --searching;
      while (searching.load() > 0)
        std::this_thread::yield();  // a team of this thread would still exist
      EXPECT_LE(count_threads(), before + 3);
    });
  }

  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(count_threads(), before);
}

TEST_F(CatalogIndexTest, MakesQueriesUnitVectors) {
  CatalogIndex index = Make();
  const ItemUpdate item = TestItem(random_, 1);
  ASSERT_TRUE(index.Apply({item}, {}).ok());
  std::vector<float> query = item.vectors.front().values;
  for (float& value : query) value *= 1000;
  const SearchResult found = FirstResult(index.Search(RequestFor(query, 1)));
  ASSERT_TRUE(found.ok());
  EXPECT_NEAR(found->front().score, 1.0f, 1e-5);
}

TEST_F(CatalogIndexTest, AnItemThatGetsItsNumberLaterIsExcludedByIt) {
  CatalogIndex index = Make();
  ItemUpdate item = TestItem(random_, 0);
  item.number = 0;
  ASSERT_TRUE(index.Apply({item}, {}).ok());
  SearchRequest request = RequestFor(RandomUnitVector(random_, 16), 10);
  request.exclude_item_numbers.Add(0);
  request.exclude_item_numbers.Add(7);
  EXPECT_EQ(Find(index, request).size(), 1u) << "number 0 is no number";
  item.number = 7;  // of the same revision, as after a migration of the store
  ASSERT_TRUE(index.Apply({item}, {}).ok());
  EXPECT_EQ(Find(index, request).size(), 0u);
}

TEST_F(CatalogIndexTest, LeavesOutHiddenExpiredAndExcludedItems) {
  CatalogIndex index = Make();
  std::vector<ItemUpdate> items = TestItems(random_, 6);
  items[1].hidden = true;
  items[2].expire_time = clock_.Now() + absl::Seconds(10);
  items[3].expire_time = clock_.Now();
  ASSERT_TRUE(index.Apply(items, {}).ok());
  SearchRequest request = RequestFor(RandomUnitVector(random_, 16), 10);
  request.exclude_item_ids = {items[4].item_id, "unknown"};
  std::vector<std::string> found = Find(index, request);
  std::sort(found.begin(), found.end());
  EXPECT_THAT(found, ElementsAre(items[0].item_id, items[2].item_id, items[5].item_id));
  clock_.Advance(absl::Seconds(10));
  found = Find(index, request);
  std::sort(found.begin(), found.end());
  EXPECT_THAT(found, ElementsAre(items[0].item_id, items[5].item_id));
  request.now = clock_.Now() - absl::Seconds(20);
  EXPECT_EQ(Find(index, request).size(), 4u);
}

TEST_F(CatalogIndexTest, IgnoresOlderRevisionsAndRepeatedOnes) {
  CatalogIndex index = Make();
  ItemUpdate newer = TestItem(random_, 1, 16, 5);
  ItemUpdate older = TestItem(random_, 1, 16, 4);
  ASSERT_EQ(index.Apply({newer}, {})->applied, 1);
  EXPECT_EQ(index.Apply({older}, {})->stale, 1);
  EXPECT_EQ(index.Apply({newer}, {})->unchanged, 1);
  EXPECT_EQ(index.GetVector(newer.item_id, kText)->values, newer.vectors.front().values);
  EXPECT_EQ(index.Apply({}, {{newer.item_id, 4}})->stale, 1);
  EXPECT_EQ(index.GetStats().items, 1);
  newer.vectors.clear();  // the same revision, without its vector
  EXPECT_EQ(index.Apply({newer}, {})->applied, 1);
  EXPECT_TRUE(absl::IsNotFound(index.GetVector(newer.item_id, kText).status()));
}

TEST_F(CatalogIndexTest, KeepsDeletedItemDeletedWhenOlderUpdateComesLate) {
  CatalogIndex index = Make();
  ASSERT_TRUE(index.Apply({TestItem(random_, 1, 16, 3)}, {}).ok());
  EXPECT_EQ(index.Apply({}, {{"item-000001", 4}})->applied, 1);
  EXPECT_EQ(index.Apply({TestItem(random_, 1, 16, 4)}, {})->stale, 1);
  EXPECT_EQ(index.GetStats().items, 0);
  EXPECT_EQ(index.Apply({TestItem(random_, 1, 16, 5)}, {})->applied, 1);
  EXPECT_EQ(index.GetStats().items, 1);
}

TEST_F(CatalogIndexTest, TakesNewestOfSeveralUpdatesInOneCall) {
  CatalogIndex index = Make();
  const ItemUpdate first = TestItem(random_, 1, 16, 1), second = TestItem(random_, 1, 16, 3),
                   third = TestItem(random_, 1, 16, 2);
  ASSERT_TRUE(index.Apply({first, second, third}, {{"item-000001", 2}}).ok());
  EXPECT_EQ(index.GetVector("item-000001", kText)->values, second.vectors.front().values);
  EXPECT_EQ(index.GetStats().items, 1);
}

TEST_F(CatalogIndexTest, NeverReturnsDeletedItemsThroughUpdatesAndMerges) {
  CatalogIndex index = Make({.delta_rows = 64});
  std::map<std::string, ItemUpdate> present;
  for (int round = 0; round < 200; ++round) {
    std::vector<ItemUpdate> updates;
    std::vector<ItemDelete> deletes;
    for (int i = 0; i < 20; ++i) {
      const int number = static_cast<int>(random_() % 300);
      ItemUpdate item = TestItem(random_, number, 8, round + 1);
      if (random_() % 3 == 0) {
        present.erase(item.item_id);
        std::erase_if(updates,
                      [&](const ItemUpdate& update) { return update.item_id == item.item_id; });
        deletes.push_back({item.item_id, round + 1});
      } else {
        if (std::any_of(deletes.begin(), deletes.end(),
                        [&](const ItemDelete& d) { return d.item_id == item.item_id; }))
          continue;
        present[item.item_id] = item;
        updates.push_back(std::move(item));
      }
    }

    ASSERT_TRUE(index.Apply(updates, deletes).ok());
    if (round % 7 == 0) {
      ASSERT_TRUE(index.Maintain().ok());
    }

    std::vector<ItemUpdate> items;
    for (const auto& [id, item] : present) items.push_back(item);
    const std::vector<float> query = RandomUnitVector(random_, 8);
    ASSERT_EQ(Find(index, RequestFor(query, 50)),
              NaiveSearch(items, query, 50, [](const ItemUpdate&) { return true; }));
    ASSERT_EQ(index.GetStats().items, static_cast<int64_t>(present.size()));
  }
  EXPECT_GT(index.GetStats().merges, 0);
}

TEST_F(CatalogIndexTest, RefusesWrongRequestsNamingFieldValueAndLimit) {
  CatalogIndex index = Make();
  ASSERT_TRUE(index.Apply({TestItem(random_, 1)}, {}).ok());
  const std::vector<float> good = RandomUnitVector(random_, 16);

  const auto error = [&](const std::function<void(SearchRequest&)>& spoil) {
    SearchRequest request = RequestFor(good, 10);
    spoil(request);
    const absl::Status status = FirstResult(index.Search(request)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_EQ(FieldViolations(status).size(), 1u);
    return std::string(status.message());
  };

  EXPECT_EQ(error([](SearchRequest& r) { r.queries[0].k = 0; }), "k is 0; must be 1 to 1000");
  EXPECT_EQ(error([](SearchRequest& r) { r.queries[0].k = 1001; }), "k is 1001; must be 1 to 1000");
  EXPECT_EQ(error([](SearchRequest& r) { r.queries.resize(257); }),
            "queries has 257 elements; must be 1 to 256");
  EXPECT_EQ(error([](SearchRequest& r) { r.queries.clear(); }),
            "queries has 0 elements; must be 1 to 256");
  EXPECT_THAT(error([](SearchRequest& r) { r.queries[0].vector.values.resize(15); }),
              HasSubstr("vector.values has 15 dimensions; must be 16"));
  EXPECT_THAT(error([](SearchRequest& r) { r.queries[0].vector.values[3] = std::nanf(""); }),
              HasSubstr("vector.values[3] is nan; must be finite"));
  EXPECT_THAT(error([](SearchRequest& r) {
                r.queries[0].vector.values[2] = std::numeric_limits<float>::infinity();
              }),
              HasSubstr("vector.values[2] is inf"));
  EXPECT_THAT(error([](SearchRequest& r) { r.queries[0].vector.values.assign(16, 0.0f); }),
              HasSubstr("vector.values is all zeros"));
  EXPECT_THAT(error([](SearchRequest& r) { r.exclude_item_ids.resize(10'001); }),
              HasSubstr("exclude_item_ids has 10001 ids"));
  EXPECT_THAT(error([](SearchRequest& r) { r.queries[0].vector.space.fingerprint.clear(); }),
              HasSubstr("vector.space.fingerprint is empty"));
}

TEST_F(CatalogIndexTest, NamesBothModelsWhenFingerprintDiffers) {
  CatalogIndex index = Make();
  ASSERT_TRUE(index.Apply({TestItem(random_, 1)}, {}).ok());
  SearchRequest request = RequestFor(RandomUnitVector(random_, 16), 10);
  request.queries[0].vector.space = kTextNext;
  const absl::Status status = FirstResult(index.Search(request)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              ::testing::AllOf(HasSubstr("model-1"), HasSubstr("model-2")));
  request.queries[0].vector.space = {.name = "audio", .fingerprint = "x"};
  EXPECT_TRUE(absl::IsNotFound(FirstResult(index.Search(request)).status()));
  request.queries[0].vector.space = {.name = "image",
                                     .fingerprint = "x"};  // declared, without vectors
  EXPECT_THAT(Find(index, request), IsEmpty());
}

TEST_F(CatalogIndexTest, SearchesTheModelThatASpaceChangesToAmongItemsThatHaveItsVectors) {
  CatalogIndex index = Make();
  CatalogConfig config = TestConfig();
  config.active_fingerprints["text"] = kText.fingerprint;
  index.SetCatalog(config);
  std::vector<ItemUpdate> items = TestItems(random_, 4);
  ASSERT_TRUE(index.Apply(items, {}).ok());
  SearchRequest request = RequestFor(RandomUnitVector(random_, 8), 10);
  request.queries[0].vector.space = kTextNext;
  EXPECT_TRUE(absl::IsFailedPrecondition(FirstResult(index.Search(request)).status()));

  for (size_t i = 0; i < 2; ++i)
    items[i].vectors.push_back({.space = kTextNext, .values = RandomUnitVector(random_, 8)});
  ASSERT_TRUE(index.Apply({items[0], items[1]}, {}).ok());
  EXPECT_EQ(Find(index, request).size(), 2u);
  EXPECT_EQ(Find(index, RequestFor(RandomUnitVector(random_, 16), 10)).size(), 4u);
}

TEST_F(CatalogIndexTest, SwitchesToNewFingerprintAndRetiresTheOld) {
  CatalogIndex index = Make({.retire_after = absl::Minutes(5)});
  CatalogConfig config = TestConfig();
  config.active_fingerprints["text"] = kText.fingerprint;
  index.SetCatalog(config);
  std::vector<ItemUpdate> items = TestItems(random_, 20);
  ASSERT_TRUE(index.Apply(items, {}).ok());
  for (ItemUpdate& item : items)
    item.vectors.push_back({.space = kTextNext, .values = RandomUnitVector(random_, 8)});
  ASSERT_TRUE(index.Apply(items, {}).ok());
  SearchRequest old_request = RequestFor(RandomUnitVector(random_, 16), 10);
  SearchRequest new_request = RequestFor(RandomUnitVector(random_, 8), 10);
  new_request.queries[0].vector.space = kTextNext;
  EXPECT_EQ(Find(index, new_request).size(), 10u) << "not active yet, but there";

  config.active_fingerprints["text"] = kTextNext.fingerprint;
  EXPECT_FALSE(index.SetCatalog(config));
  EXPECT_EQ(Find(index, new_request).size(), 10u);
  EXPECT_EQ(Find(index, old_request).size(), 10u)
      << "callers that embedded before the switch are still served";

  clock_.Advance(absl::Minutes(5));
  ASSERT_TRUE(MaintainFully(index).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(FirstResult(index.Search(old_request)).status()));
  EXPECT_EQ(Find(index, new_request).size(), 10u);
  const CatalogStats stats = index.GetStats();
  ASSERT_EQ(stats.spaces.size(), 1u) << "the old vectors are gone";
  EXPECT_TRUE(stats.spaces.front().active);

  config.active_fingerprints["text"] = kText.fingerprint;
  EXPECT_TRUE(index.SetCatalog(config)) << "going back needs the dropped vectors again";
}

TEST_F(CatalogIndexTest, FollowsMajorityOfVectorsWhereNoFingerprintIsDeclaredActive) {
  CatalogIndex index = Make();
  std::vector<ItemUpdate> items = TestItems(random_, 3);
  ASSERT_TRUE(index.Apply(items, {}).ok());
  EXPECT_EQ(*index.ActiveFingerprint("text"), "model-1");
  for (int i = 0; i < 2; ++i) {
    items[i].revision = 2;
    items[i].vectors.front().space = kTextNext;
  }
  ASSERT_TRUE(index.Apply(items, {}).ok());
  EXPECT_EQ(*index.ActiveFingerprint("text"), "model-2");
  EXPECT_EQ(*index.ActiveFingerprint("image"), "");
  EXPECT_TRUE(absl::IsNotFound(index.ActiveFingerprint("audio").status()));
}

TEST_F(CatalogIndexTest, LeavesOutBadVectorsAndKeepsTheItem) {
  CatalogIndex index = Make();
  std::vector<ItemUpdate> items = TestItems(random_, 5);
  items[1].vectors.front().values.resize(15);
  items[2].vectors.front().values[0] = std::nanf("");
  items[3].vectors.front().values.assign(16, 0.0f);
  items[4].vectors.front().values.assign(16, 1.0f);
  const absl::StatusOr<ApplyResult> result = index.Apply(items, {});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->refused_vectors, 4);
  EXPECT_EQ(index.GetStats().items, 5);
  EXPECT_THAT(Find(index, RequestFor(RandomUnitVector(random_, 16), 10)),
              ElementsAre(items[0].item_id));
}

TEST_F(CatalogIndexTest, RefusesChangesWithoutIdOrRevisionAndAppliesNothing) {
  CatalogIndex index = Make();
  ItemUpdate nameless = TestItem(random_, 1);
  nameless.item_id.clear();
  EXPECT_TRUE(absl::IsInvalidArgument(index.Apply({TestItem(random_, 2), nameless}, {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(index.Apply({}, {{"item", 0}}).status()));
  EXPECT_EQ(index.GetStats().items, 0);
}

TEST_F(CatalogIndexTest, StopsAtDeadlineAndCancellation) {
  CatalogIndex index = Make();
  ASSERT_TRUE(index.Apply(TestItems(random_, 10), {}).ok());
  SearchRequest request = RequestFor(RandomUnitVector(random_, 16), 10);
  request.context.deadline = clock_.Now();
  EXPECT_TRUE(absl::IsDeadlineExceeded(index.Search(request).status()));
  request.context.deadline = absl::InfiniteFuture();
  const auto cancellation = std::make_shared<Cancellation>();
  cancellation->Cancel();
  request.context.cancellation = cancellation;
  EXPECT_TRUE(absl::IsCancelled(index.Search(request).status()));
}

TEST_F(CatalogIndexTest, KeepsItemsOfOneListingOnly) {
  CatalogIndex index = Make();
  ASSERT_TRUE(index.Apply(TestItems(random_, 10), {}).ok());
  EXPECT_EQ(index.EndListing({"item-000003", "item-000004", "other"}), 8);
  EXPECT_EQ(index.GetStats().items, 2);
}

TEST_F(CatalogIndexTest, AListingReplacesWhateverItsRevisionAndChangesDoNot) {
  CatalogIndex index = Make();
  ItemUpdate newer = TestItem(random_, 1, 16, 5);
  newer.hidden = true;
  ASSERT_TRUE(index.Apply({newer}, {{"item-000002", 5}}).ok());
  const ItemUpdate older = TestItem(random_, 1, 16, 2);
  EXPECT_EQ(index.Apply({older, TestItem(random_, 2, 16, 2)}, {})->stale, 2);

  index.BeginListing();
  EXPECT_EQ(index.ApplyListed({older, TestItem(random_, 2, 16, 2)})->applied, 2);
  EXPECT_EQ(index.EndListing({"item-000001", "item-000002"}), 0);
  EXPECT_EQ(Find(index, RequestFor(RandomUnitVector(random_, 16), 10)).size(), 2u);
  EXPECT_EQ(index.GetVector("item-000001", kText)->values, older.vectors.front().values);
}

TEST_F(CatalogIndexTest, AListingIsDueUntilItsEnd) {
  CatalogIndex index = Make();
  EXPECT_TRUE(index.listing_due()) << "new";
  index.BeginListing();
  ASSERT_TRUE(index.ApplyListed({TestItem(random_, 1)}).ok());
  EXPECT_TRUE(index.listing_due());
  index.EndListing({"item-000001"});
  EXPECT_FALSE(index.listing_due());

  CatalogConfig config = TestConfig();
  config.attributes.push_back({"brand", AttributeType::kString, true});
  index.SetCatalog(config);
  EXPECT_TRUE(index.listing_due());
  config.attributes.pop_back();
  index.SetCatalog(config);
  EXPECT_TRUE(index.listing_due()) << "only the end of a listing clears it";
}

TEST_F(CatalogIndexTest, AsksForListingWhenAnAttributeBecomesFilterable) {
  CatalogIndex index = Make();
  CatalogConfig config = TestConfig();
  EXPECT_FALSE(index.SetCatalog(config));
  config.attributes.push_back({"brand", AttributeType::kString, false});
  EXPECT_FALSE(index.SetCatalog(config));
  config.attributes.back().filterable = true;
  EXPECT_TRUE(index.SetCatalog(config));
  config.attributes.pop_back();
  EXPECT_FALSE(index.SetCatalog(config));
}

TEST_F(CatalogIndexTest, CountsItemsSegmentsTombstonesAndVectors) {
  CatalogIndex index = Make({.delta_rows = 100});
  std::vector<ItemUpdate> items = TestItems(random_, 400);
  for (int i = 0; i < 100; ++i)
    items[i].vectors.push_back({.space = kImage, .values = RandomUnitVector(random_, 16)});
  ASSERT_TRUE(index.Apply(items, {}).ok());
  ASSERT_TRUE(index.Apply({TestItem(random_, 7, 16, 2)}, {{"item-000008", 2}}).ok());

  const CatalogStats stats = index.GetStats();
  EXPECT_EQ(stats.catalog, "movies");
  EXPECT_EQ(stats.items, 399);
  EXPECT_EQ(stats.segments, 1);
  EXPECT_EQ(stats.delta_items, 1);
  EXPECT_EQ(stats.tombstones, 2);
  EXPECT_GT(stats.memory_bytes, 399 * 16 * 4);
  ASSERT_EQ(stats.spaces.size(), 2u);
  EXPECT_EQ(stats.spaces[0].space, kImage);
  EXPECT_EQ(stats.spaces[0].vectors, 98);
  EXPECT_EQ(stats.spaces[1].vectors, 399);
  EXPECT_EQ(stats.spaces[1].dimensions, 16);
}

}  // namespace
}  // namespace palate::retrieval
