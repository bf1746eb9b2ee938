// Requests of many vectors: the results are those of single searches, and the filter and exclusions
// are evaluated once for all vectors.
#include "retrieval/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "base/mutex.h"
#include "base/status.h"
#include "retrieval/faiss_segment.h"
#include "tests/fakes/exact_segments.h"
#include "tests/retrieval/test_items.h"

namespace palate::retrieval {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int kTextDimensions = 16;
constexpr int kImageDimensions = 8;

VectorQuery QueryFor(const SpaceKey& space, std::vector<float> values, int k) {
  return {.vector = {.space = space, .values = std::move(values)}, .k = k};
}

// Records the bitmaps of the searches of every segment.
class RecordingSegments final : public VectorSegmentFactory {
 public:
  using Bitmaps = std::set<const Bitmap*>;

  absl::StatusOr<std::unique_ptr<VectorSegment>> Build(int dimensions,
                                                       const std::vector<float>& vectors,
                                                       bool) const override {
    return std::make_unique<Recording>(*this, dimensions, vectors);
  }
  absl::StatusOr<std::unique_ptr<VectorSegment>> Deserialize(int, int64_t,
                                                             absl::string_view) const override {
    return absl::UnimplementedError("not read back in this test");
  }
  std::string Describe() const override { return "recording scan"; }

  // The recorded bitmaps by segment. Clears the record.
  std::map<const VectorSegment*, Bitmaps> Take() {
    MutexLock lock(mutex_);
    return std::exchange(bitmaps_, {});
  }

 private:
  class Recording final : public VectorSegment {
   public:
    Recording(const RecordingSegments& owner, int dimensions, std::vector<float> vectors)
        : owner_(owner), exact_(dimensions, std::move(vectors)) {}
    int64_t size() const override { return exact_.size(); }
    int dimensions() const override { return exact_.dimensions(); }
    int64_t memory_bytes() const override { return exact_.memory_bytes(); }
    absl::StatusOr<std::vector<VectorHit>> Search(const float* query, int64_t k,
                                                  const Bitmap* allowed) const override {
      {
        MutexLock lock(owner_.mutex_);
        owner_.bitmaps_[this].insert(allowed);
      }
      return exact_.Search(query, k, allowed);
    }
    void Reconstruct(int64_t index, float* out) const override { exact_.Reconstruct(index, out); }
    absl::StatusOr<std::string> Serialize() const override { return exact_.Serialize(); }

   private:
    const RecordingSegments& owner_;
    const ExactSegment exact_;
  };

  mutable Mutex mutex_;
  mutable std::map<const VectorSegment*, Bitmaps> bitmaps_ ABSL_GUARDED_BY(mutex_);
};

class SearchTest : public ::testing::Test {
 protected:
  // 600 items in several segments. A few vectors are shared by many items, so that most scores are
  // tied; a third of the items have an image.
  void Fill(CatalogIndex& index) {
    std::vector<std::vector<float>> texts, images;
    for (int i = 0; i < 12; ++i) texts.push_back(RandomUnitVector(random_, kTextDimensions));
    for (int i = 0; i < 6; ++i) images.push_back(RandomUnitVector(random_, kImageDimensions));

    for (int i = 0; i < 600; ++i) {
      ItemUpdate item = TestItem(random_, i, kTextDimensions);
      item.vectors.front().values = texts[random_() % texts.size()];
      if (i % 3 == 0)
        item.vectors.push_back({.space = kImage, .values = images[random_() % images.size()]});
      item.hidden = i % 50 == 7;
      if (i % 50 == 9) item.expire_time = clock_.Now() - absl::Seconds(1);
      items_.push_back(std::move(item));
    }

    for (int begin = 0; begin < 600; begin += 60) {
      ASSERT_TRUE(index.Apply(absl::MakeSpan(items_).subspan(begin, 60), {}).ok());
    }

    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(index.Apply({}, {{items_.back().item_id, 2}}).ok());
      items_.pop_back();
    }
  }

  // The ids that the query should find, by brute force.
  std::vector<std::string> Expected(const VectorQuery& query,
                                    const std::set<std::string>& excluded) const {
    std::vector<ItemUpdate> candidates;
    for (const ItemUpdate& item : items_) {
      for (const SpaceVector& vector : item.vectors) {
        if (vector.space != query.vector.space) continue;
        candidates.push_back(item);
        candidates.back().vectors = {vector};
      }
    }
    return NaiveSearch(candidates, query.vector.values, query.k, [&](const ItemUpdate& item) {
      const int64_t year = std::get<int64_t>(item.attributes.at("year"));
      return !item.hidden && !item.expire_time.has_value() && !excluded.contains(item.item_id) &&
             year % 2 == 0 && year < 450;
    });
  }

  std::mt19937 random_{11};
  ManualClock clock_{absl::FromUnixSeconds(1'000'000)};
  std::vector<ItemUpdate> items_;
};

TEST_F(SearchTest, ManyVectorsOfTwoSpacesFindWhatSingleSearchesFind) {
  CatalogIndex index(TestConfig(), {.delta_rows = 50}, FaissSegments(), clock_);
  Fill(index);
  SearchRequest request;
  request.filter = ParsedFilter(index, "year < 450 AND genres: ANY(\"even\")");
  for (int i = 0; i < 100; ++i)
    request.exclude_item_ids.push_back(items_[random_() % items_.size()].item_id);
  const std::set<std::string> excluded(request.exclude_item_ids.begin(),
                                       request.exclude_item_ids.end());
  for (const int k : {1, 3, 10, 40, 1000}) {
    for (int i = 0; i < 4; ++i) {
      request.queries.push_back(QueryFor(kText, RandomUnitVector(random_, kTextDimensions), k));
      request.queries.push_back(QueryFor(kImage, RandomUnitVector(random_, kImageDimensions), k));
    }
  }

  for (const bool merged : {false, true}) {
    if (merged) {
      ASSERT_TRUE(MaintainFully(index).ok());
    }
    const absl::StatusOr<SearchResponse> together = index.Search(request);
    ASSERT_TRUE(together.ok()) << together.status();
    ASSERT_THAT(together->results, SizeIs(request.queries.size()));
    for (size_t i = 0; i < request.queries.size(); ++i) {
      SearchRequest single = request;
      single.queries = {request.queries[i]};
      const SearchResult alone = FirstResult(index.Search(single));
      ASSERT_TRUE(alone.ok()) << alone.status();
      EXPECT_EQ(together->results[i], alone) << "query " << i;
      EXPECT_EQ(IdsOf(*alone), Expected(request.queries[i], excluded)) << "query " << i;
    }
  }
}

TEST_F(SearchTest, WrongQueriesFailAlone) {
  CatalogIndex index(TestConfig(), {.delta_rows = 50}, FaissSegments(), clock_);
  Fill(index);
  const std::vector<float> good = RandomUnitVector(random_, kTextDimensions);

  SearchRequest request;
  request.queries = {QueryFor(kText, good, 10),
                     QueryFor(kTextNext, good, 10),
                     QueryFor({.name = "audio", .fingerprint = "x"}, good, 10),
                     QueryFor(kText, good, 0),
                     QueryFor(kText, RandomUnitVector(random_, kImageDimensions), 10),
                     QueryFor(kImage, RandomUnitVector(random_, kImageDimensions), 10)};

  const absl::StatusOr<SearchResponse> response = index.Search(request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_THAT(response->results, SizeIs(6));

  EXPECT_EQ(response->results[0], FirstResult(index.Search(RequestFor(good, 10))));
  EXPECT_TRUE(absl::IsFailedPrecondition(response->results[1].status()))
      << response->results[1].status();
  EXPECT_TRUE(absl::IsNotFound(response->results[2].status())) << response->results[2].status();
  EXPECT_EQ(FieldViolations(response->results[3].status()).at(0).field, "k");
  EXPECT_EQ(FieldViolations(response->results[4].status()).at(0).field, "vector.values");
  ASSERT_TRUE(response->results[5].ok()) << response->results[5].status();
  EXPECT_THAT(*response->results[5], SizeIs(10));
}

TEST_F(SearchTest, EvaluatesFilterOncePerSegmentWhateverTheNumberOfVectors) {
  CatalogIndex index(TestConfig(), {.delta_rows = 50}, FaissSegments(), clock_);
  Fill(index);
  const int64_t segments = static_cast<int64_t>(index.state()->segments.size());
  ASSERT_GT(segments, 5);
  SearchRequest request = RequestFor(RandomUnitVector(random_, kTextDimensions), 10);
  EXPECT_EQ(index.Search(request)->filter_evaluations, 0);

  request.filter = ParsedFilter(index, "year < 450");
  EXPECT_EQ(index.Search(request)->filter_evaluations, segments);
  for (int i = 0; i < 50; ++i) {
    request.queries.push_back(QueryFor(kText, RandomUnitVector(random_, kTextDimensions), 10));
    request.queries.push_back(QueryFor(kImage, RandomUnitVector(random_, kImageDimensions), 10));
  }
  EXPECT_EQ(index.Search(request)->filter_evaluations, segments);

  request.queries = {QueryFor(kText, {1.0f}, 10)};
  EXPECT_EQ(index.Search(request)->filter_evaluations, 0) << "no query is left to search for";
}

TEST_F(SearchTest, EvaluatesFilterOnlyWhereTheSpacesHaveVectors) {
  CatalogIndex index(TestConfig(), {.delta_rows = 10}, FaissSegments(), clock_);
  std::vector<ItemUpdate> items = TestItems(random_, 60);
  for (int i = 0; i < 20; ++i)
    items[i].vectors.push_back(
        {.space = kImage, .values = RandomUnitVector(random_, kImageDimensions)});
  for (int begin = 0; begin < 60; begin += 20)
    ASSERT_TRUE(index.Apply(absl::MakeSpan(items).subspan(begin, 20), {}).ok());
  ASSERT_THAT(index.state()->segments, SizeIs(3));
  SearchRequest request;
  request.filter = ParsedFilter(index, "year < 450");
  request.queries = {QueryFor(kImage, RandomUnitVector(random_, kImageDimensions), 5)};
  EXPECT_EQ(index.Search(request)->filter_evaluations, 1);
}

TEST_F(SearchTest, GivesAllVectorsTheSameBitmapAndNoneWhereAllRowsMayBeReturned) {
  RecordingSegments segments;
  CatalogIndex index(TestConfig(), {.delta_rows = 10}, segments, clock_);
  std::vector<ItemUpdate> items = TestItems(random_, 60);
  for (ItemUpdate& item : items)
    item.vectors.push_back(
        {.space = kImage, .values = RandomUnitVector(random_, kImageDimensions)});
  for (int begin = 0; begin < 60; begin += 20)
    ASSERT_TRUE(index.Apply(absl::MakeSpan(items).subspan(begin, 20), {}).ok());
  SearchRequest request;
  for (int i = 0; i < 8; ++i) {
    request.queries.push_back(QueryFor(kText, RandomUnitVector(random_, kTextDimensions), 2));
    request.queries.push_back(QueryFor(kImage, RandomUnitVector(random_, kImageDimensions), 2));
  }

  ASSERT_TRUE(index.Search(request).ok());
  const auto unrestricted = segments.Take();
  EXPECT_THAT(unrestricted, SizeIs(6));  // two spaces of three segments
  for (const auto& [segment, bitmaps] : unrestricted)
    EXPECT_EQ(bitmaps, RecordingSegments::Bitmaps{nullptr});

  request.filter = ParsedFilter(index, "genres: ANY(\"even\")");
  request.exclude_item_ids = {items[0].item_id, items[30].item_id};
  ASSERT_TRUE(index.Search(request).ok());
  const auto restricted = segments.Take();
  EXPECT_THAT(restricted, SizeIs(6));
  std::set<const Bitmap*> all;
  for (const auto& [segment, bitmaps] : restricted) {
    EXPECT_THAT(bitmaps, SizeIs(1));
    EXPECT_FALSE(bitmaps.contains(nullptr));
    all.insert(bitmaps.begin(), bitmaps.end());
  }
  EXPECT_THAT(all, SizeIs(3))
      << "one for each segment: text and image share it, because every row has both";
}

// Few numbers are looked up, many are tested row by row; both find the same rows in each segment.
TEST_F(SearchTest, ItemsExcludedByNumberAreLeftOutHoweverMany) {
  CatalogIndex index(TestConfig(), {.delta_rows = 50}, FaissSegments(), clock_);
  Fill(index);
  SearchRequest request;
  request.filter = ParsedFilter(index, "year < 450 AND genres: ANY(\"even\")");
  request.queries = {QueryFor(kText, RandomUnitVector(random_, kTextDimensions), 1000)};
  std::set<std::string> excluded;
  std::vector<ItemUpdate> order = items_;
  std::shuffle(order.begin(), order.end(), random_);
  for (const bool merged : {false, true}) {
    if (merged) {
      ASSERT_TRUE(MaintainFully(index).ok());
    }
    excluded.clear();
    request.exclude_item_numbers = {};
    for (size_t i = 0; i < order.size(); ++i) {
      excluded.insert(order[i].item_id);
      request.exclude_item_numbers.Add(order[i].number);
      request.exclude_item_numbers.Add(1'000'000 + static_cast<uint32_t>(i));  // of no item here
      if (i % 50 != 0 && i + 1 != order.size()) continue;
      const SearchResult found = FirstResult(index.Search(request));
      ASSERT_TRUE(found.ok()) << found.status();
      EXPECT_EQ(IdsOf(*found), Expected(request.queries[0], excluded)) << i << " excluded";
    }
  }
}

TEST_F(SearchTest, WrongExclusionsFailTheRequest) {
  CatalogIndex index(TestConfig(), {}, FaissSegments(), clock_);
  SearchRequest request = RequestFor(RandomUnitVector(random_, kTextDimensions), 10);
  request.exclude_item_ids.resize(10'000);
  EXPECT_TRUE(index.Search(request).ok());
  request.exclude_item_ids.resize(10'001);
  EXPECT_THAT(std::string(index.Search(request).status().message()),
              HasSubstr("exclude_item_ids has 10001 ids; must be at most 10000"));
}

TEST_F(SearchTest, ListsGiveTheirFirstAllowedItemsAndAnEmptyListTheLastChangedOnes) {
  CatalogIndex index(TestConfig(), {.delta_rows = 100}, FaissSegments(), clock_);
  std::vector<ItemUpdate> items = TestItems(random_, 50, kTextDimensions);
  for (int i = 0; i < 50; ++i) items[i].revision = 1 + i;
  items[7].hidden = true;
  items[9].expire_time = clock_.Now();
  items[11].vectors.clear();
  ASSERT_TRUE(index.Apply(absl::MakeSpan(items).subspan(0, 25), {}).ok());
  ASSERT_TRUE(index.Apply(absl::MakeSpan(items).subspan(25), {}).ok());
  ASSERT_TRUE(index.Apply({}, {{"item-000049", 100}}).ok());
  items[1].revision = 200;
  ASSERT_TRUE(index.Apply({items[1]}, {}).ok());

  SearchRequest request;
  auto filter = index.ParseFilter("genres: ANY(\"odd\")");
  ASSERT_TRUE(filter.ok()) << filter.status();
  request.filter = std::make_shared<const Filter>(*std::move(filter));
  request.exclude_item_ids = {"item-000013"};
  request.lists = {
      {.item_ids = {"item-000049", "item-000009", "item-000011", "ghost", "item-000002",
                    "item-000013", "item-000007", "item-000001", "item-000003"},
       .k = 2},
      {.item_ids = {}, .k = 3},
      {.item_ids = {}, .k = 1000}};
  const auto response = index.Search(request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_THAT(response->lists, SizeIs(3));
  EXPECT_THAT(response->lists[0], ::testing::ElementsAre("item-000011", "item-000001"));
  EXPECT_THAT(response->lists[1],
              ::testing::ElementsAre("item-000001", "item-000047", "item-000045"));
  EXPECT_THAT(response->lists[2], SizeIs(25 - 4)) << "hidden, expired, excluded, deleted";

  request.lists[1].k = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(index.Search(request).status()));
  request.lists.clear();
  EXPECT_TRUE(absl::IsInvalidArgument(index.Search(request).status())) << "nothing is asked";
}

}  // namespace
}  // namespace palate::retrieval
