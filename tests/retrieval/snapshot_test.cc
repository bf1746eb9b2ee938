#include "retrieval/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "retrieval/faiss_segment.h"
#include "retrieval/index_set.h"
#include "retrieval/row_segment.h"
#include "tests/retrieval/test_items.h"
#include "tests/temp_folder.h"

namespace palate::retrieval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class SnapshotTest : public ::testing::Test {
 protected:
  // An index with two segments, several spaces, tombstones, hidden and expiring items.
  void FillIndex(CatalogIndex& index) {
    std::vector<ItemUpdate> items = TestItems(random_, 300, 8);
    for (int i = 0; i < 100; ++i)
      items[i].vectors.push_back({.space = kImage, .values = RandomUnitVector(random_, 12)});
    items[3].hidden = true;
    items[4].expire_time = absl::FromUnixSeconds(5);
    items[5].attributes.clear();
    items[6].vectors.clear();
    ASSERT_TRUE(index.Apply(items, {}).ok());
    ASSERT_TRUE(index.Apply({TestItem(random_, 1, 8, 2)}, {{"item-000002", 2}}).ok());
  }

  IndexSetOptions Options() const {
    return {.search_threads = 1,
            .index = {.delta_rows = 100},
            .snapshot_dir = dir_.path(),
            .snapshot_interval = absl::ZeroDuration()};
  }

  std::unique_ptr<IndexSet> Open() {
    absl::StatusOr<std::unique_ptr<IndexSet>> set =
        IndexSet::Create(Options(), FaissSegments(), clock_);
    EXPECT_TRUE(set.ok()) << set.status();
    return *std::move(set);
  }

  // Saves and closes a set with one filled catalog at position "p1".
  void SaveOne() {
    const std::unique_ptr<IndexSet> set = Open();
    FillIndex(*set->Upsert(TestConfig()).index);
    set->SetPosition("p1");
    ASSERT_TRUE(set->Save().ok());
  }

  TempFolder dir_;
  std::mt19937 random_{3};
  SystemClock clock_;
};

TEST_F(SnapshotTest, GivesBackWhatWasSaved) {
  CatalogConfig config = TestConfig();
  config.create_time = absl::FromUnixMicros(123456789);
  config.active_fingerprints["text"] = "model-1";
  CatalogIndex index(config, {.delta_rows = 100}, FaissSegments(), clock_);
  FillIndex(index);

  const std::string path = dir_.file("movies.index");
  ASSERT_TRUE(WriteCatalogSnapshot(path, *index.state(), "token").ok());
  absl::StatusOr<CatalogSnapshot> snapshot = ReadCatalogSnapshot(path, FaissSegments());
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ(snapshot->config, config);
  EXPECT_EQ(snapshot->position, "token");

  CatalogIndex loaded(snapshot->config, {.delta_rows = 100}, FaissSegments(), clock_);
  loaded.Restore(std::move(snapshot->segments), snapshot->retiring, snapshot->dropped,
                 snapshot->listing_due);
  const CatalogStats before = index.GetStats(), after = loaded.GetStats();
  EXPECT_EQ(after.items, before.items);
  EXPECT_EQ(after.tombstones, before.tombstones);
  EXPECT_EQ(after.delta_items, before.delta_items);
  ASSERT_EQ(after.spaces.size(), before.spaces.size());

  for (int round = 0; round < 20; ++round) {
    SearchRequest request = RequestFor(RandomUnitVector(random_, 8), 50);
    request.filter =
        std::make_shared<const Filter>(*loaded.ParseFilter("year > 50 AND genres: ANY(\"odd\")"));
    for (uint32_t number = 1; number < 300; number += 3) request.exclude_item_numbers.Add(number);
    EXPECT_EQ(*FirstResult(index.Search(request)), *FirstResult(loaded.Search(request)));
  }
}

TEST_F(SnapshotTest, HoldsWhetherAListingIsDue) {
  CatalogIndex index(TestConfig(), {}, FaissSegments(), clock_);
  FillIndex(index);
  const std::string path = dir_.file("movies.index");
  for (const bool due : {true, false}) {
    if (!due) index.EndListing({"item-000001"});
    ASSERT_TRUE(WriteCatalogSnapshot(path, *index.state(), "token").ok());
    EXPECT_EQ(ReadCatalogSnapshot(path, FaissSegments())->listing_due, due);
  }
}

TEST_F(SnapshotTest, FindsDamageOfEveryByte) {
  CatalogIndex index(TestConfig(), {.delta_rows = 8}, FaissSegments(), clock_);
  ASSERT_TRUE(index.Apply(TestItems(random_, 12, 4), {}).ok());
  const std::string path = dir_.file("movies.index");
  ASSERT_TRUE(WriteCatalogSnapshot(path, *index.state(), "token").ok());
  const std::string good = ReadFile(path);

  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  const auto put = [&](size_t i, char byte) {
    file.seekp(static_cast<std::streamoff>(i)).put(byte).flush();
  };

  for (size_t i = 0; i < good.size(); ++i) {
    put(i, static_cast<char>(good[i] ^ (1 << (i % 8))));
    const absl::Status status = ReadCatalogSnapshot(path, FaissSegments()).status();
    ASSERT_TRUE(absl::IsDataLoss(status) ||
                (absl::IsFailedPrecondition(status) && i >= 8 && i < 12))
        << "byte " << i << ": " << status;
    ASSERT_THAT(std::string(status.message()), HasSubstr(path));
    put(i, good[i]);
  }
  EXPECT_TRUE(ReadCatalogSnapshot(path, FaissSegments()).ok());
}

TEST_F(SnapshotTest, FindsTruncationAtEveryLengthAndAppendedBytes) {
  CatalogIndex index(TestConfig(), {}, FaissSegments(), clock_);
  ASSERT_TRUE(index.Apply(TestItems(random_, 5, 4), {}).ok());
  const std::string path = dir_.file("movies.index");
  ASSERT_TRUE(WriteCatalogSnapshot(path, *index.state(), "token").ok());
  const std::string good = ReadFile(path);

  for (size_t length = good.size(); length-- > 0;) {
    std::filesystem::resize_file(path, length);
    ASSERT_TRUE(absl::IsDataLoss(ReadCatalogSnapshot(path, FaissSegments()).status())) << length;
  }

  WriteFile(path, good + "x");
  EXPECT_TRUE(absl::IsDataLoss(ReadCatalogSnapshot(path, FaissSegments()).status()));
  EXPECT_TRUE(absl::IsNotFound(ReadCatalogSnapshot(dir_.file("absent"), FaissSegments()).status()));
}

// Wrong bytes with correct checksums, such as those of a faulty writer, may be rejected or
// accepted, but must not cause reads out of bounds.
TEST_F(SnapshotTest, SurvivesRandomRowsBehindTheChecksums) {
  CatalogIndex index(TestConfig(), {}, FaissSegments(), clock_);
  FillIndex(index);
  const RowSegment& rows = *index.state()->segments.front().rows;
  ByteWriter out;
  rows.EncodeRows(out);

  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = out.bytes();
    for (int flips = 1 + round % 4; flips > 0; --flips)
      bytes[random_() % bytes.size()] = static_cast<char>(random_());
    if (round % 5 == 0) bytes.resize(random_() % bytes.size());

    ByteReader in(bytes);
    const auto decoded = RowSegment::Decode(
        in,
        [&](const SpaceKey&, size_t count) -> absl::StatusOr<std::unique_ptr<const VectorSegment>> {
          return FaissSegments().Build(4, std::vector<float>(count * 4, 0.5f), true);
        });

    if (!decoded.ok()) {
      ++refused;
      continue;
    }
    const auto filter = index.ParseFilter("NOT genres: ANY(\"odd\") OR year > 3");
    ASSERT_TRUE((*decoded)->columns().Evaluate(*filter, [] { return absl::OkStatus(); }).ok());
    for (size_t row = 0; row < (*decoded)->rows(); ++row) (*decoded)->columns().Get(row);
  }
  EXPECT_GT(refused, 500);
}

TEST_F(SnapshotTest, ReopensSetWhereItEnded) {
  SaveOne();
  const std::unique_ptr<IndexSet> set = Open();
  EXPECT_EQ(set->position(), "p1");
  EXPECT_THAT(set->RestoredCatalogs(), ElementsAre("movies"));
  EXPECT_EQ(set->GetStats().snapshots_set_aside, 0);
  const SearchResult found =
      FirstResult(set->Search("movies", RequestFor(RandomUnitVector(random_, 8), 1000)));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->size(), 296u);  // 300 without the deleted, the hidden and the expired one and
                                   // the one without a vector
}

TEST_F(SnapshotTest, SavesLastChangesOnClose) {
  SaveOne();
  {
    const std::unique_ptr<IndexSet> set = Open();
    ASSERT_TRUE((*set->Find("movies"))->Apply({TestItem(random_, 900, 8)}, {}).ok());
    set->SetPosition("p2");
  }
  const std::unique_ptr<IndexSet> set = Open();
  EXPECT_EQ(set->position(), "p2");
  EXPECT_TRUE((*set->Find("movies"))->GetVector("item-000900", kText).ok());
}

TEST_F(SnapshotTest, SetsCorruptTruncatedNewerAndOlderFilesAsideAndGoesOn) {
  SaveOne();
  const std::string path = dir_.file("movies.index");
  const std::string good = ReadFile(path);
  std::string newer = good;
  newer[8] = kSnapshotFormat + 1;  // the format, after the magic number
  std::string older = good;
  older[8] = kSnapshotFormat - 1;  // without item numbers
  std::string flipped = good;
  flipped[good.size() / 2] ^= 1;
  int bad = 0;
  for (const std::string& bytes :
       {newer, older, flipped, good.substr(0, good.size() / 2), std::string()}) {
    WriteFile(path, bytes);
    const std::unique_ptr<IndexSet> set = Open();
    EXPECT_EQ(set->GetStats().snapshots_set_aside, 1);
    EXPECT_THAT(set->Catalogs(), IsEmpty());
    EXPECT_THAT(set->RestoredCatalogs(), IsEmpty());
    EXPECT_EQ(ReadFile(path + ".bad-" + std::to_string(++bad)), bytes);
  }
}

TEST_F(SnapshotTest, ForgetsPositionButServesCatalogsWhenManifestIsCorrupt) {
  SaveOne();
  std::string bytes = ReadFile(dir_.file("manifest"));
  bytes.back() ^= 1;
  WriteFile(dir_.file("manifest"), bytes);
  const std::unique_ptr<IndexSet> set = Open();
  EXPECT_EQ(set->position(), "");
  EXPECT_THAT(set->RestoredCatalogs(), IsEmpty());
  EXPECT_THAT(set->Catalogs(), ElementsAre("movies"));
  EXPECT_TRUE(std::filesystem::exists(dir_.file("manifest.bad-1")));
}

TEST_F(SnapshotTest, RemovesFilesOfDroppedCatalogsAndOfInterruptedWrites) {
  SaveOne();
  WriteFile(dir_.file("movies.index.tmp"), "half");
  const std::unique_ptr<IndexSet> set = Open();
  EXPECT_FALSE(std::filesystem::exists(dir_.file("movies.index.tmp")));
  EXPECT_TRUE(set->Drop("movies"));
  EXPECT_FALSE(set->Drop("movies"));
  ASSERT_TRUE(set->Save().ok());
  EXPECT_FALSE(std::filesystem::exists(dir_.file("movies.index")));
}

TEST_F(SnapshotTest, RefusesSaveWithoutDirectory) {
  IndexSetOptions options = Options();
  options.snapshot_dir.clear();
  const auto set = IndexSet::Create(options, FaissSegments(), clock_);
  ASSERT_TRUE(set.ok());
  EXPECT_TRUE(absl::IsFailedPrecondition((*set)->Save().status()));
}

TEST_F(SnapshotTest, SetsFileOfAnotherCatalogAside) {
  SaveOne();
  std::filesystem::rename(dir_.file("movies.index"), dir_.file("shop.index"));
  const std::unique_ptr<IndexSet> set = Open();
  EXPECT_THAT(set->Catalogs(), IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(dir_.file("shop.index.bad-1")));
}

}  // namespace
}  // namespace palate::retrieval
