// The usage examples in the headers of retrieval/, compiled and run.
#include "tests/usage_examples.h"

#include <faiss/IndexFlat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/status.h"
#include "retrieval/bitmap.h"
#include "retrieval/byte_codec.h"
#include "retrieval/change_source.h"
#include "retrieval/columns.h"
#include "retrieval/faiss_segment.h"
#include "retrieval/faiss_status.h"
#include "retrieval/filter.h"
#include "retrieval/follower.h"
#include "retrieval/index.h"
#include "retrieval/index_set.h"
#include "retrieval/index_state.h"
#include "retrieval/merge_policy.h"
#include "retrieval/row_segment.h"
#include "retrieval/section_file.h"
#include "retrieval/snapshot.h"
#include "retrieval/vector_segment.h"
#include "tests/fakes/exact_segments.h"
#include "tests/retrieval/test_items.h"
#include "tests/temp_folder.h"

namespace palate::retrieval {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// Expects that this file has the example of `header`.
void ExpectExampleOf(const std::string& header) {
  ExpectTestHasExampleOf(header, "tests/retrieval/usage_examples_test.cc");
}

TEST(UsageExampleTest, Bitmap) {
  ExpectExampleOf("retrieval/bitmap.h");

  Bitmap even(100);
  even.Fill([](size_t i) { return i % 2 == 0; });
  even.Clear(0);
  size_t sum = 0;
  even.ForEach([&](size_t i) { sum += i; });

  EXPECT_EQ(sum, 2450u);
}

absl::Status UseByteCodec() {
  ByteWriter out;
  out.Number<uint32_t>(7);
  out.String("mug");
  ByteReader in(out.bytes());
  const uint32_t number = in.Number<uint32_t>();
  const std::string name(in.String());
  if (!in.done()) return absl::DataLossError("malformed record");

  EXPECT_EQ(number, 7u);
  EXPECT_EQ(name, "mug");
  return absl::OkStatus();
}

TEST(UsageExampleTest, ByteCodec) {
  ExpectExampleOf("retrieval/byte_codec.h");
  EXPECT_TRUE(UseByteCodec().ok());
}

absl::Status UseColumns() {
  PALATE_ASSIGN_OR_RETURN(
      const Filter filter,
      Filter::Parse("price < 20", {{.name = "price", .type = AttributeType::kDouble}}));

  AttributeColumnBuilder prices(AttributeType::kDouble, /*rows=*/3);
  prices.Set(0, 12.5);
  prices.Set(2, 40.0);
  std::map<AttributeColumns::Key, AttributeColumn> by_key;
  by_key.emplace(AttributeColumns::Key("price", AttributeType::kDouble), prices.Finish());
  const AttributeColumns columns(/*rows=*/3, std::move(by_key));
  PALATE_ASSIGN_OR_RETURN(const Bitmap cheap,
                          columns.Evaluate(filter, [] { return absl::OkStatus(); }));

  EXPECT_EQ(cheap.Count(), 1u);
  EXPECT_TRUE(cheap.Test(0));
  return absl::OkStatus();
}

TEST(UsageExampleTest, Columns) {
  ExpectExampleOf("retrieval/columns.h");

  const absl::Status status = UseColumns();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(UsageExampleTest, FaissSegment) {
  ExpectExampleOf("retrieval/faiss_segment.h");

  const CatalogConfig config = TestConfig();
  const SystemClock clock;
  CatalogIndex index(config, IndexOptions{}, FaissSegments(), clock);

  EXPECT_EQ(index.GetStats().items, 0);
}

TEST(UsageExampleTest, FaissStatus) {
  ExpectExampleOf("retrieval/faiss_status.h");

  faiss::IndexFlatIP index(2);
  const std::vector<float> vectors = {1, 0, 0, 1};
  const absl::Status added = CatchFaiss([&] { index.add(2, vectors.data()); });
  const absl::StatusOr<int64_t> size = CatchFaiss([&] { return int64_t{index.ntotal}; });

  EXPECT_TRUE(added.ok()) << added;
  ASSERT_TRUE(size.ok()) << size.status();
  EXPECT_EQ(*size, 2);
}

absl::Status UseFilter() {
  const std::vector<AttributeDeclaration> declarations = TestConfig().attributes;
  std::mt19937 random(1);
  const ItemUpdate item = TestItem(random, 1999);

  PALATE_ASSIGN_OR_RETURN(
      const Filter filter,
      Filter::Parse(R"(genres: ANY("Comedy", "Drama") AND NOT (year < 1990))", declarations));
  const bool matches = filter.Matches(item.attributes);

  EXPECT_FALSE(matches) << "its genre is \"odd\"";
  return absl::OkStatus();
}

TEST(UsageExampleTest, Filter) {
  ExpectExampleOf("retrieval/filter.h");

  const absl::Status status = UseFilter();
  EXPECT_TRUE(status.ok()) << status;
}

// A store without catalogs, whose feed never changes.
class EmptyStore final : public ChangeSource {
 public:
  absl::StatusOr<std::vector<CatalogConfig>> ListCatalogs() override {
    return std::vector<CatalogConfig>();
  }
  absl::StatusOr<std::string> CurrentPosition() override { return std::string("0"); }
  absl::StatusOr<ItemPage> ListItems(const std::string&, const std::string&) override {
    return ItemPage();
  }
  absl::StatusOr<std::vector<ItemUpdate>> GetItems(const std::string&,
                                                   const std::vector<std::string>&) override {
    return std::vector<ItemUpdate>();
  }
  absl::StatusOr<ChangeBatch> WatchChanges(const std::string& position,
                                           absl::Duration timeout) override {
    MutexLock lock(mutex_);
    if (!cancelled_) changed_.WaitFor(mutex_, timeout);
    if (cancelled_) return absl::CancelledError("cancelled");
    return ChangeBatch{.changes = {}, .next_position = position};
  }
  void Cancel() override {
    MutexLock lock(mutex_);
    cancelled_ = true;
    changed_.SignalAll();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

absl::Status UseFollower() {
  const SystemClock clock;
  EmptyStore source;
  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<IndexSet> set,
                          IndexSet::Create({}, FaissSegments(), clock));
  IndexSet& indexes = *set;

  Follower follower(source, indexes, clock);
  follower.Start();
  const FollowerStats stats = follower.GetStats();
  if (!stats.connected) spdlog::warn("searches are {} behind", absl::FormatDuration(stats.lag));
  follower.Stop();

  EXPECT_EQ(stats.changes, 0);
  return absl::OkStatus();
}

TEST(UsageExampleTest, Follower) {
  ExpectExampleOf("retrieval/follower.h");

  const absl::Status status = UseFollower();
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseIndex() {
  const ExactSegments factory;
  const SystemClock clock;

  CatalogConfig config;
  config.id = "shop";
  config.spaces = {"text"};
  CatalogIndex index(config, IndexOptions{}, factory, clock);
  const SpaceKey space = {.name = "text", .fingerprint = "model-1"};
  ItemUpdate mug;
  mug.item_id = "mug";
  mug.revision = 1;
  mug.vectors = {{.space = space, .values = {0.6f, 0.8f}}};
  PALATE_RETURN_IF_ERROR(index.Apply({mug}, {}).status());
  SearchRequest request;
  request.queries = {{.vector = {.space = space, .values = {1, 0}}, .k = 10}};
  PALATE_ASSIGN_OR_RETURN(const SearchResponse response, index.Search(request));
  PALATE_ASSIGN_OR_RETURN(const std::vector<SearchHit> hits, response.results[0]);

  EXPECT_THAT(hits, SizeIs(1));
  return absl::OkStatus();
}

TEST(UsageExampleTest, Index) {
  ExpectExampleOf("retrieval/index.h");

  const absl::Status status = UseIndex();
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseIndexSet() {
  const ExactSegments factory;
  const SystemClock clock;
  CatalogConfig config = TestConfig();
  config.id = "shop";
  std::mt19937 random(1);
  const std::vector<ItemUpdate> updates = TestItems(random, 10);
  const SearchRequest request = RequestFor(RandomUnitVector(random, 16), 5);

  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<IndexSet> indexes,
                          IndexSet::Create({.search_threads = 2}, factory, clock));
  const IndexSet::UpsertResult shop = indexes->Upsert(config);  // of catalog "shop"
  PALATE_RETURN_IF_ERROR(shop.index->Apply(updates, {}).status());
  PALATE_ASSIGN_OR_RETURN(const SearchResponse response, indexes->Search("shop", request));

  EXPECT_THAT(*response.results.front(), SizeIs(5));
  return absl::OkStatus();
}

TEST(UsageExampleTest, IndexSet) {
  ExpectExampleOf("retrieval/index_set.h");

  const absl::Status status = UseIndexSet();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(UsageExampleTest, IndexState) {
  ExpectExampleOf("retrieval/index_state.h");

  const ExactSegments factory;
  const SystemClock clock;
  CatalogIndex index(TestConfig(), IndexOptions{}, factory, clock);
  std::mt19937 random(1);
  ItemUpdate mug = TestItem(random, 1);
  mug.item_id = "mug";
  ASSERT_TRUE(index.Apply({mug}, {}).ok());
  const std::shared_ptr<const IndexState> state = index.state();

  StateEditor editor(*state);
  const std::optional<RowPlace> place = editor.Find("mug");
  if (place.has_value()) editor.Kill(*place);
  const std::shared_ptr<const IndexState> next = editor.Finish(/*retire_at=*/clock.Now());

  EXPECT_TRUE(place.has_value());
  EXPECT_THAT(next->segments, IsEmpty());
}

TEST(UsageExampleTest, MergePolicy) {
  ExpectExampleOf("retrieval/merge_policy.h");

  const ExactSegments factory;
  const SystemClock clock;
  const IndexOptions options;
  const CatalogIndex index(TestConfig(), options, factory, clock);
  const IndexState state = *index.state();

  std::vector<SegmentView> inputs;
  for (size_t i : PickMerge(state, options)) inputs.push_back(state.segments[i]);

  EXPECT_THAT(inputs, IsEmpty());
}

absl::Status UseRowSegment() {
  const ExactSegments factory;
  std::mt19937 random(1);
  const ItemUpdate update = TestItem(random, 1);

  RowSegmentBuilder builder(factory, /*dropped=*/{}, /*delta=*/true);
  builder.Add(update);
  PALATE_ASSIGN_OR_RETURN(const std::shared_ptr<const RowSegment> segment, builder.Build());
  const std::optional<uint32_t> row = segment->Find(update.item_id);

  EXPECT_EQ(row, 0u);
  return absl::OkStatus();
}

TEST(UsageExampleTest, RowSegment) {
  ExpectExampleOf("retrieval/row_segment.h");

  const absl::Status status = UseRowSegment();
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseSectionFile(const std::string& path) {
  {
    PALATE_ASSIGN_OR_RETURN(SectionWriter file, SectionWriter::Create(path, "PALATEXY", 1));
    PALATE_RETURN_IF_ERROR(file.Write(/*kind=*/1, "payload"));
    PALATE_RETURN_IF_ERROR(file.Commit());
  }
  PALATE_ASSIGN_OR_RETURN(SectionReader file, SectionReader::Open(path, "PALATEXY", 1));
  PALATE_ASSIGN_OR_RETURN(const std::string payload, file.Read(/*kind=*/1));
  PALATE_RETURN_IF_ERROR(file.End());

  EXPECT_EQ(payload, "payload");
  return absl::OkStatus();
}

TEST(UsageExampleTest, SectionFile) {
  ExpectExampleOf("retrieval/section_file.h");

  const TempFolder dir;
  const absl::Status status = UseSectionFile(dir.file("sections"));
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseSnapshot(const std::string& path) {
  const ExactSegments factory;
  const SystemClock clock;
  CatalogIndex index(TestConfig(), IndexOptions{}, factory, clock);
  std::mt19937 random(1);
  PALATE_RETURN_IF_ERROR(index.Apply(TestItems(random, 10), {}).status());
  const std::string position = "1";

  PALATE_RETURN_IF_ERROR(WriteCatalogSnapshot(path, *index.state(), position));
  PALATE_ASSIGN_OR_RETURN(CatalogSnapshot read, ReadCatalogSnapshot(path, factory));
  CatalogIndex restored(read.config, IndexOptions{}, factory, clock);
  restored.Restore(std::move(read.segments), read.retiring, read.dropped, read.listing_due);

  EXPECT_EQ(restored.GetStats().items, 10);
  return absl::OkStatus();
}

TEST(UsageExampleTest, Snapshot) {
  ExpectExampleOf("retrieval/snapshot.h");

  const TempFolder dir;
  const absl::Status status = UseSnapshot(dir.file("catalog.index"));
  EXPECT_TRUE(status.ok()) << status;
}

absl::Status UseVectorSegment() {
  const ExactSegments factory;

  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<VectorSegment> segment,
                          factory.Build(/*dimensions=*/2, {1, 0, 0, 1}, /*delta=*/false));
  const float query[] = {0.6f, 0.8f};
  PALATE_ASSIGN_OR_RETURN(const std::vector<VectorHit> hits,
                          segment->Search(query, /*k=*/1, /*allowed=*/nullptr));

  EXPECT_THAT(hits, SizeIs(1));
  EXPECT_EQ(hits.front().index, 1u);
  return absl::OkStatus();
}

TEST(UsageExampleTest, VectorSegment) {
  ExpectExampleOf("retrieval/vector_segment.h");

  const absl::Status status = UseVectorSegment();
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace palate::retrieval
