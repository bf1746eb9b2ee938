#include "embedding/cache/item_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/embedding/cache/cache_folder.h"
#include "tests/eventually.h"

namespace palate::embedding {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;

std::string KeyOf(int number) {
  return ItemCache::Key("shop", ContentOf(number), "text", "fingerprint");
}

class ItemCacheTest : public ::testing::Test {
 protected:
  void Open(int64_t max_bytes = int64_t{64} << 20) {
    cache_.reset();
    auto opened = ItemCache::Open({folder_.dir(), max_bytes});
    ASSERT_TRUE(opened.ok()) << opened.status();
    cache_ = *std::move(opened);
  }
  void Put(int number) { cache_->Put({{KeyOf(number), VectorOf(number)}}); }
  // RocksDB writes, merges and drops files on background threads, and a flush may exceed the limit
  // briefly.
  bool SettlesWithin(int64_t bytes) const {
    return Eventually([&] { return folder_.bytes() <= bytes; });
  }
  bool SettlesWithinTables(size_t tables) const {
    return Eventually([&] { return folder_.tables().size() <= tables; });
  }
  bool Holds(int number) {
    const std::string key = KeyOf(number);
    const auto found = cache_->Get({&key, 1});
    if (!found[0].has_value()) return false;
    EXPECT_EQ(found[0]->values, VectorOf(number).values);
    return true;
  }
  // Overwrites `bytes` from `offset` in every file whose name contains `extension`.
  void Damage(const std::string& extension, int64_t offset, size_t bytes) {
    cache_.reset();
    int damaged = 0;
    for (const auto& file : fs::directory_iterator(folder_.dir())) {
      if (file.path().filename().string().find(extension) == std::string::npos) continue;
      std::fstream stream(file.path(), std::ios::in | std::ios::out | std::ios::binary);
      stream.seekp(offset);
      stream << std::string(bytes, '\x5a');
      ++damaged;
    }
    ASSERT_GT(damaged, 0) << extension;
  }

  CacheFolder folder_;
  std::unique_ptr<ItemCache> cache_;
};

TEST_F(ItemCacheTest, GivesBackWhatWasPut) {
  Open();
  CachedVector absent;
  absent.tokens = 7;
  cache_->Put({{KeyOf(1), VectorOf(1)}, {KeyOf(2), absent}});
  const std::vector<std::string> keys = {KeyOf(3), KeyOf(2), KeyOf(1)};
  const auto found = cache_->Get(keys);

  EXPECT_FALSE(found[0].has_value());
  ASSERT_TRUE(found[1].has_value());
  EXPECT_FALSE(found[1]->present);
  EXPECT_EQ(found[1]->tokens, 7);
  ASSERT_TRUE(found[2].has_value());
  EXPECT_TRUE(found[2]->present);
  EXPECT_EQ(found[2]->values, VectorOf(1).values);
  EXPECT_EQ(found[2]->tokens, 1);
  EXPECT_EQ(found[2]->truncated_tokens, 1);
}

TEST_F(ItemCacheTest, HoldsItsEntriesAfterARestart) {
  Open();
  for (int i = 0; i < 100; ++i) Put(i);
  Open();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(Holds(i)) << i;
}

TEST_F(ItemCacheTest, StaysWithinItsBytesAndDropsTheOldestFirst) {
  Open(ItemCache::kMinBytes);
  constexpr int kEntries = 20'000;  // about 31 MB
  for (int i = 0; i < kEntries; ++i) Put(i);

  EXPECT_TRUE(SettlesWithin(ItemCache::kMinBytes)) << folder_.bytes();
  EXPECT_LE(cache_->stats().bytes, ItemCache::kMinBytes);
  EXPECT_FALSE(Holds(0));

  int held = 0;
  while (held < kEntries && Holds(kEntries - 1 - held)) ++held;
  EXPECT_GT(held, 1000) << "the newest entries are cached";
  for (int i = 0; i < kEntries - held; ++i)
    ASSERT_FALSE(Holds(i)) << i << " was kept longer than a newer entry";
}

TEST_F(ItemCacheTest, SmallFilesOfRestartsAreMergedUpToASixteenthOfTheBound) {
  constexpr int64_t kSixteenth = ItemCache::kMinBytes / 16;
  constexpr int kSmall = 12;
  constexpr int kLarge = 10;
  int next = 0;
  for (int restart = 0; restart < kSmall + kLarge; ++restart) {
    Open(ItemCache::kMinBytes);
    // About 9 KB at first, which are merged; then 190 KB, two of which would exceed a sixteenth.
    for (int end = next + (restart < kSmall ? 6 : 120); next < end; ++next) Put(next);
  }

  Open(ItemCache::kMinBytes);
  EXPECT_TRUE(SettlesWithinTables(kSmall / 2 + kLarge)) << folder_.tables().size() << " tables";
  // Dropping a file must not drop most of the cache.
  for (const int64_t bytes : folder_.tables()) EXPECT_LE(bytes, kSixteenth);
  for (int i = 0; i < next; ++i) ASSERT_TRUE(Holds(i)) << i;
}

TEST_F(ItemCacheTest, FolderWithADamagedManifestIsSetAsideAndBegunAnew) {
  Open();
  Put(1);
  Damage("MANIFEST", 0, 40);

  Open();
  EXPECT_FALSE(Holds(1));
  Put(1);
  EXPECT_TRUE(Holds(1));
  EXPECT_TRUE(fs::exists(folder_.dir() + ".damaged/CURRENT"));
}

TEST_F(ItemCacheTest, FolderThatMissesATableIsSetAsideAndBegunAnew) {
  Open();
  Put(1);
  Open();  // recovery writes a table

  cache_.reset();
  for (const auto& file : fs::directory_iterator(folder_.dir())) {
    if (file.path().extension() == ".sst") fs::remove(file.path());
  }
  Open();
  EXPECT_FALSE(Holds(1));
  EXPECT_TRUE(fs::exists(folder_.dir() + ".damaged"));
}

TEST_F(ItemCacheTest, SecondDamageReplacesTheFirstThatWasSetAside) {
  for (int round = 0; round < 2; ++round) {
    Open();
    Put(round);
    Damage("MANIFEST", 0, 40);
  }
  Open();
  int folders = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(folder_.dir()).parent_path()))
    folders += entry.is_directory();
  EXPECT_EQ(folders, 2);
}

TEST_F(ItemCacheTest, DamagedEntryIsAMissAndIsCounted) {
  Open();
  Put(1);
  Open();  // recovery writes a table
  Damage(".sst", 16, 64);
  Open();
  EXPECT_FALSE(Holds(1));
  EXPECT_EQ(cache_->stats().errors, 1);

  Put(1);
  EXPECT_TRUE(Holds(1)) << "the new entry precedes the damaged one";
}

TEST_F(ItemCacheTest, FolderThatIsOpenElsewhereIsRefused) {
  Open();
  const absl::Status status = ItemCache::Open({folder_.dir(), ItemCache::kMinBytes}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder_.dir()));
  EXPECT_FALSE(fs::exists(folder_.dir() + ".damaged"));
}

TEST_F(ItemCacheTest, FolderThatCannotBeMadeIsAnError) {
  std::ofstream(folder_.dir()) << "a file stands here";
  EXPECT_EQ(ItemCache::Open({folder_.dir(), ItemCache::kMinBytes}).status().code(),
            absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace palate::embedding
