// The store's directory: ownership, damage, older and newer formats.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "absl/strings/match.h"
#include "featurestore/storage/count_merge.h"
#include "featurestore/storage/keys.h"
#include "featurestore/storage/record_codec.h"
#include "featurestore/storage/seen_merge.h"
#include "tests/featurestore/store_fixture.h"
#include "tests/temp_folder.h"

namespace palate::featurestore {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FilesTest : public StoreTest {
 protected:
  std::string state() const { return dir_.path() + "/state"; }

  std::vector<std::string> FilesNamed(absl::string_view part) const {
    std::vector<std::string> paths;
    for (const auto& file : std::filesystem::directory_iterator(state())) {
      if (absl::StrContains(file.path().filename().string(), part))
        paths.push_back(file.path().string());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  // Flips bits in the middle half of the file.
  static void Damage(const std::string& path, std::mt19937& random) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(0, std::ios::end);
    const int64_t size = file.tellg();
    ASSERT_GT(size, 0);
    for (int i = 0; i < 8; ++i) {
      const int64_t at = size / 4 + static_cast<int64_t>(random() % (size / 2 + 1));
      file.seekg(std::min(at, size - 1));
      const char byte = static_cast<char>(file.get());
      file.seekp(std::min(at, size - 1));
      file.put(static_cast<char>(byte ^ (1 << (random() % 8))));
    }
  }

  // A store with rows in tables and in the log.
  void Fill() {
    OpenWithShop();
    for (int i = 0; i < 50; ++i) {
      ItemWrite write = Write(absl::StrCat("item", i), absl::StrCat("title ", i));
      write.images = {{Png(10, 10, std::string(6000, static_cast<char>('a' + i % 20))), ""}};
      Put(write);
      ASSERT_TRUE(
          Record(Rating(absl::StrCat("user", i % 7), absl::StrCat("item", i), i % 5, kNow)).ok());
    }
    ASSERT_TRUE(store_->PurgeUser("shop", "user3").ok());  // flushes and compacts
    Put(Write("last"));
    store_.reset();
  }

  // Opens the store and, where that succeeds, reads everything. The first error, or OK.
  absl::Status OpenAndReadAll() {
    auto store = FeatureStore::Open(Options());
    if (!store.ok()) return store.status();
    std::string token;
    do {
      const auto page =
          (*store)->ListItems("shop", 20, token, {.all_spaces = true, .image_bytes = true});
      if (!page.ok()) return page.status();
      token = page->next_page_token;
    } while (!token.empty());
    for (int i = 0; i < 7; ++i) {
      const auto context = (*store)->GetUserContext({.catalog = "shop",
                                                     .user_id = absl::StrCat("user", i),
                                                     .num_trending = 10,
                                                     .num_fresh = 10});
      if (!context.ok()) return context.status();
    }
    return (*store)->ReadChanges("shop", "", 1000, absl::InfinitePast()).status();
  }

  void CopyTo(const std::string& saved) const {
    std::filesystem::remove_all(saved);
    std::filesystem::copy(dir_.path(), saved, std::filesystem::copy_options::recursive);
  }
  void RestoreFrom(const std::string& saved) const {
    std::filesystem::remove_all(dir_.path());
    std::filesystem::copy(saved, dir_.path(), std::filesystem::copy_options::recursive);
  }

  // Direct access to the closed store's rows.
  std::unique_ptr<rocksdb::DB> OpenRaw(std::vector<rocksdb::ColumnFamilyHandle*>& handles) {
    std::vector<std::string> names;
    EXPECT_TRUE(rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), state(), &names).ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const std::string& name : names) {
      rocksdb::ColumnFamilyOptions options;
      if (name == "counters") options.merge_operator = MakeCountMerge();
      if (name == "users") options.merge_operator = MakeSeenMerge();
      families.emplace_back(name, options);
    }
    rocksdb::DB* db = nullptr;
    const rocksdb::Status opened =
        rocksdb::DB::Open(rocksdb::DBOptions(), state(), families, &handles, &db);
    EXPECT_TRUE(opened.ok()) << opened.ToString();
    return std::unique_ptr<rocksdb::DB>(db);
  }
  static rocksdb::ColumnFamilyHandle* Named(
      const std::vector<rocksdb::ColumnFamilyHandle*>& handles, const std::string& name) {
    for (rocksdb::ColumnFamilyHandle* handle : handles) {
      if (handle->GetName() == name) return handle;
    }
    return nullptr;
  }
  static void CloseRaw(std::unique_ptr<rocksdb::DB> db,
                       const std::vector<rocksdb::ColumnFamilyHandle*>& handles) {
    for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
    EXPECT_TRUE(db->Close().ok());
  }
};

TEST_F(FilesTest, ASecondOwnerIsRefusedNamingTheFirst) {
  Open();
  const auto second = FeatureStore::Open(Options());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(second.status().message(), HasSubstr(dir_.path()));
  EXPECT_THAT(second.status().message(), HasSubstr(absl::StrCat("process ", getpid())));
  ASSERT_TRUE(store_->Close().ok());
  EXPECT_TRUE(FeatureStore::Open(Options()).ok());
}

TEST_F(FilesTest, AnUnusableDirectoryIsAnError) {
  StoreOptions options = Options();
  options.dir = "";
  EXPECT_EQ(WrongField(FeatureStore::Open(options).status()), "dir");
  std::ofstream(dir_.path() + "/file") << "x";
  options.dir = dir_.path() + "/file";
  EXPECT_FALSE(FeatureStore::Open(options).ok());
}

TEST_F(FilesTest, BothDurabilitiesKeepAcknowledgedWrites) {
  for (const Durability durability : {Durability::kSync, Durability::kRelaxed}) {
    StoreOptions options = Options();
    options.durability = durability;
    Open(options);
    const std::string catalog = durability == Durability::kSync ? "synced" : "relaxed";
    ASSERT_TRUE(store_->CreateCatalog(ShopCatalog(catalog)).ok());
    ASSERT_TRUE(store_->UpsertItems(catalog, {Write("a")}).ok());
    Open(options);
    EXPECT_TRUE(store_->GetItems(catalog, {"a"})->failures.empty());
  }
}

TEST_F(FilesTest, WholeStoresPassVerification) {
  Fill();
  EXPECT_TRUE(OpenAndReadAll().ok()) << OpenAndReadAll();
  Open();
  EXPECT_TRUE(store_->VerifyChecksums().ok());
}

TEST_F(FilesTest, DamagedTablesAreReportedAtStart) {
  Fill();
  TempFolder saved;
  CopyTo(saved.path());
  std::mt19937 random(1);
  const std::vector<std::string> tables = FilesNamed(".sst");
  ASSERT_FALSE(tables.empty());
  for (const std::string& table : tables) {
    RestoreFrom(saved.path());
    Damage(table, random);
    const auto opened = FeatureStore::Open(Options());
    EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss)
        << table << ": " << opened.status();
    EXPECT_THAT(opened.status().message(), HasSubstr(dir_.path()));
  }
}

TEST_F(FilesTest, DamagedTablesOfLargeStoresAreReportedAtStartOrWhenRead) {
  Fill();
  TempFolder saved;
  CopyTo(saved.path());
  std::mt19937 random(2);
  for (const std::string& table : FilesNamed(".sst")) {
    RestoreFrom(saved.path());
    Damage(table, random);
    StoreOptions options = Options();
    options.verify_on_open_bytes = 0;
    auto store = FeatureStore::Open(options);
    if (store.ok()) {
      EXPECT_EQ((*store)->VerifyChecksums().code(), absl::StatusCode::kDataLoss) << table;
    } else {
      EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss) << store.status();
    }
  }
}

TEST_F(FilesTest, DamagedPicturesAreReported) {
  Fill();
  std::mt19937 random(3);
  const std::vector<std::string> blobs = FilesNamed(".blob");
  ASSERT_FALSE(blobs.empty());
  Damage(blobs[0], random);
  EXPECT_EQ(OpenAndReadAll().code(), absl::StatusCode::kDataLoss);
}

TEST_F(FilesTest, DamagedManifestsLogsAndPointersAreReported) {
  Fill();
  TempFolder saved;
  CopyTo(saved.path());
  std::mt19937 random(4);
  for (const char* name : {"MANIFEST-", "CURRENT", ".log"}) {
    for (int round = 0; round < 5; ++round) {
      RestoreFrom(saved.path());
      for (const std::string& path : FilesNamed(name)) {
        if (std::filesystem::file_size(path) > 0) Damage(path, random);
      }
      const absl::Status status = OpenAndReadAll();
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss)
          << name << " round " << round << ": " << status;
    }
  }
}

TEST_F(FilesTest, MissingFilesAreReported) {
  Fill();
  TempFolder saved;
  CopyTo(saved.path());
  for (const char* name : {"CURRENT", "MANIFEST-", ".sst", ".blob"}) {
    RestoreFrom(saved.path());
    for (const std::string& path : FilesNamed(name)) std::filesystem::remove(path);
    const absl::Status status = OpenAndReadAll();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << name << ": " << status;
  }
}

TEST_F(FilesTest, TruncatedTablesAndManifestsAreReported) {
  Fill();
  TempFolder saved;
  CopyTo(saved.path());
  for (const char* name : {".sst", "MANIFEST-", "CURRENT"}) {
    RestoreFrom(saved.path());
    for (const std::string& path : FilesNamed(name))
      std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
    const absl::Status status = OpenAndReadAll();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << name << ": " << status;
  }
}

TEST_F(FilesTest, AStoreThatWasNeverFinishedIsMadeAnew) {
  std::filesystem::create_directories(state());
  std::ofstream(state() + "/MANIFEST-000001") << "half";
  std::ofstream(state() + "/IDENTITY") << "some-id";
  OpenWithShop();
  Put(Write("a"));
  Open();
  EXPECT_TRUE(Exists("a"));
}

TEST_F(FilesTest, ALogCutShortByACrashLosesOnlyTheUnfinishedWrite) {
  OpenWithShop();
  for (int i = 0; i < 20; ++i) Put(Write(absl::StrCat("item", 10 + i)));
  store_.reset();
  std::string newest;
  for (const std::string& log : FilesNamed(".log")) {
    if (std::filesystem::file_size(log) > 0) newest = log;
  }
  ASSERT_FALSE(newest.empty());
  std::filesystem::resize_file(newest, std::filesystem::file_size(newest) - 3);
  Open();
  const auto page = store_->ListItems("shop", 0, "");
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->items.size(), 19u);
  EXPECT_EQ(Stats().items, 19);
  EXPECT_EQ(Stats().embedding_backlog, 19);
}

TEST_F(FilesTest, RecordsThatCannotBeParsedAreDataLoss) {
  OpenWithShop();
  Put(Write("a"));
  store_.reset();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  auto db = OpenRaw(handles);
  ASSERT_TRUE(
      db->Put({}, Named(handles, "items"), ItemKey(kFirstCatalog, "a"), "\xff\xff\xff").ok());
  CloseRaw(std::move(db), handles);
  Open();
  EXPECT_EQ(store_->GetItems("shop", {"a"}).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(store_->ListItems("shop", 0, "").status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(FilesTest, ANewerFormatIsRefused) {
  OpenWithShop();
  store_.reset();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  auto db = OpenRaw(handles);
  ASSERT_TRUE(db->Put({}, Named(handles, "meta"), std::string(kFormatVersionKey), "4").ok());
  CloseRaw(std::move(db), handles);
  const auto opened = FeatureStore::Open(Options());
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(opened.status().message(), HasSubstr("version 4"));
}

TEST_F(FilesTest, AColumnFamilyOfANewerVersionIsRefused) {
  OpenWithShop();
  store_.reset();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  auto db = OpenRaw(handles);
  rocksdb::ColumnFamilyHandle* future = nullptr;
  ASSERT_TRUE(db->CreateColumnFamily({}, "personas", &future).ok());
  handles.push_back(future);
  CloseRaw(std::move(db), handles);
  const auto opened = FeatureStore::Open(Options());
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(opened.status().message(), HasSubstr("personas"));
}

TEST_F(FilesTest, AStrangeOrMissingFormatVersionIsDataLoss) {
  OpenWithShop();
  store_.reset();
  for (const char* version : {"two", ""}) {
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    auto db = OpenRaw(handles);
    rocksdb::ColumnFamilyHandle* meta = Named(handles, "meta");
    const std::string key(kFormatVersionKey);
    ASSERT_TRUE(
        (*version != '\0' ? db->Put({}, meta, key, version) : db->Delete({}, meta, key)).ok());
    CloseRaw(std::move(db), handles);
    EXPECT_EQ(FeatureStore::Open(Options()).status().code(), absl::StatusCode::kDataLoss);
  }
}

// Version 1 had no column family `counters`.
TEST_F(FilesTest, VersionOneIsMigratedWithAllThatFollowsFromItsRows) {
  OpenWithShop();
  ItemWrite a = Write("a");
  a.images = {{Png(4, 4), ""}};
  ItemWrite b = Write("b");
  b.images = {{"", Sha256(Png(4, 4))}};
  const int64_t revision = Put(a);
  Put(b);
  ItemWrite hidden = Write("hidden");
  hidden.item.hidden = true;
  Put(hidden);
  Put(Write("empty", ""));
  ASSERT_TRUE(store_->PutVectors("shop", "a", revision, {Vector("text", "m1", {1, 0})}, true).ok());
  ASSERT_TRUE(
      store_
          ->WriteEvents("shop", {View("u", "a", kNow), View("u", "b", kNow), View("v", "b", kNow)})
          .ok());
  User profile;
  profile.id = "w";
  ASSERT_TRUE(store_->UpsertUsers("shop", {profile}).ok());
  const CatalogStats before = Stats();
  const std::vector<ScoredItem> trending_before = Context("u", {.num_trending = 5}).trending;
  const std::string token = Token();
  store_.reset();

  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  auto db = OpenRaw(handles);
  ASSERT_TRUE(db->DropColumnFamily(Named(handles, "counters")).ok());
  ASSERT_TRUE(db->Put({}, Named(handles, "meta"), std::string(kFormatVersionKey), "1").ok());
  CloseRaw(std::move(db), handles);

  for (int round = 0; round < 2; ++round) {
    Open();
    const CatalogStats after = Stats();
    EXPECT_EQ(after.items, before.items);
    EXPECT_EQ(after.users, 3);
    EXPECT_EQ(after.events, 3);
    EXPECT_EQ(after.embedding_backlog, 2);
    EXPECT_EQ(store_->GetStats()->format_version, 3);
    const UserContext context = Context("u", {.num_trending = 5, .num_fresh = 5});
    EXPECT_THAT(Ids(context.trending), ElementsAre("b", "a"));
    EXPECT_THAT(Ids(context.fresh), ElementsAre("a", "b", "empty"));
    // The scores are measured from the catalog's newest event, which was found again.
    EXPECT_EQ(context.trending, trending_before);
    EXPECT_TRUE(Changes(token).empty());
  }
  // The pictures' counts came back: the last item deletes the bytes.
  ASSERT_TRUE(store_->DeleteItems("shop", {"a"}).ok());
  EXPECT_THAT(Read("b", {.image_bytes = true}).image_bytes, ElementsAre(Png(4, 4)));
  ASSERT_TRUE(store_->DeleteItems("shop", {"b"}).ok());
  ItemWrite c = Write("c");
  c.images = {{"", Sha256(Png(4, 4))}};
  EXPECT_EQ(WrongField(TryPut(c)), "item.images[0].sha256");
}

// tests/featurestore/format_2 was written by a program of version 2: catalogs `shop` and `other`;
// in `shop` the items a, b, late and unseen, the deleted item `deleted`; user u with views of a,
// deleted, unknown and b, and a removal of `unseen`; user v with views of 300 items that were never
// in the catalog; w with a profile only. Part of it is in tables, the rest in the log.
class FormatTwoTest : public FilesTest {
 protected:
  void SetUp() override {
    std::filesystem::copy(std::string(PALATE_SOURCE_DIR) + "/tests/featurestore/format_2",
                          dir_.path(), std::filesystem::copy_options::recursive);
  }

  // Everything of version 3 that follows from the rows of version 2.
  void ExpectMigrated() {
    EXPECT_EQ(store_->GetStats()->format_version, 3);
    EXPECT_EQ(Stats().catalog, "other");
    std::set<uint32_t> numbers;
    const auto page = store_->ListItems("shop", 0, "");
    ASSERT_TRUE(page.ok()) << page.status();
    for (const StoredItem& item : page->items) numbers.insert(item.item.number);
    EXPECT_EQ(page->items.size(), 4u);
    EXPECT_EQ(numbers.size(), 4u);
    EXPECT_FALSE(numbers.contains(0));

    const UserContext u = Context("u", {.num_trending = 10});
    EXPECT_EQ(u.events.size(), 5u);
    EXPECT_EQ(u.seen.size(), 4u) << "a, b, deleted and unknown";
    EXPECT_THAT(Seen(u), ElementsAre("a", "b"));
    EXPECT_THAT(Ids(u.trending), ::testing::UnorderedElementsAre("a", "b"));
    EXPECT_THAT(Seen(Context("u", {.request_time = kNow - absl::Minutes(1)})), ElementsAre("a"));
    EXPECT_EQ(Context("v").seen.size(), 300u);
    EXPECT_TRUE(Context("w").user.has_value());
    EXPECT_TRUE(Context("w").seen.empty());
  }
};

TEST_F(FormatTwoTest, IsMigratedWithNumbersAndSeenSets) {
  for (int round = 0; round < 2; ++round) {
    Open();
    ExpectMigrated();
  }
  // An item that comes back is still seen, and new items get numbers of their own.
  Put(Write("deleted"));
  Put(Write("new"));
  EXPECT_THAT(Seen(Context("u")), ElementsAre("a", "b", "deleted"));
  EXPECT_FALSE(Context("v").seen.Contains(Read("new").item.number));
}

TEST_F(FormatTwoTest, HoldsNoSeenRowsOfTheOldFormatAfterwards) {
  Open();
  store_.reset();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  auto db = OpenRaw(handles);
  int rows = 0;
  std::unique_ptr<rocksdb::Iterator> users(db->NewIterator({}, Named(handles, "users")));
  for (users->SeekToFirst(); users->Valid(); users->Next()) {
    ++rows;
    for (const char* user : {"u", "v"}) {
      EXPECT_FALSE(users->key().starts_with(OldSeenPrefix(UserPrefix(kFirstCatalog, user))));
    }
  }
  users.reset();
  CloseRaw(std::move(db), handles);
  EXPECT_EQ(rows, 7) << "u and v: aggregate and seen set; w: profile; u of `other`: both";
}

// Part of the work is done and the version is still 2, as after a kill at any moment.
TEST_F(FormatTwoTest, AnInterruptedMigrationContinues) {
  Open();
  const uint32_t number = Read("a").item.number;
  store_.reset();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  auto db = OpenRaw(handles);
  rocksdb::WriteBatch batch;
  batch.Put(Named(handles, "meta"), std::string(kFormatVersionKey), "2");
  // One item without its number, one seen row that is not in the set yet, one that is there twice.
  storage::ItemRecord record;
  std::string bytes;
  ASSERT_TRUE(db->Get({}, Named(handles, "items"), ItemKey(kFirstCatalog, "a"), &bytes).ok());
  ASSERT_TRUE(record.ParseFromString(bytes));
  record.set_number(0);
  batch.Put(Named(handles, "items"), ItemKey(kFirstCatalog, "a"), record.SerializeAsString());
  const std::string v = UserPrefix(kFirstCatalog, "v");
  for (const char* id : {"many7", "unseen"}) {
    std::string key = OldSeenPrefix(v);
    AppendId(id, key);
    batch.Put(Named(handles, "users"), key, "");
  }
  ASSERT_TRUE(db->Write({}, &batch).ok());
  CloseRaw(std::move(db), handles);

  Open();
  EXPECT_EQ(store_->GetStats()->format_version, 3);
  EXPECT_EQ(Read("a").item.number, number);
  EXPECT_EQ(Context("v").seen.size(), 301u);
  EXPECT_THAT(Seen(Context("v")), ElementsAre("unseen"));
  EXPECT_THAT(Seen(Context("u")), ElementsAre("a", "b"));
}

}  // namespace
}  // namespace palate::featurestore
