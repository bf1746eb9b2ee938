#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "absl/strings/match.h"
#include "featurestore/storage/count_merge.h"
#include "featurestore/storage/keys.h"
#include "tests/featurestore/store_fixture.h"

namespace palate::featurestore {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kUser[] = "person-4711-to-be-forgotten";

class PurgeTest : public StoreTest {
 protected:
  void SetUp() override { OpenWithShop(); }

  // The files under the store's directory whose bytes hold `text`.
  std::vector<std::string> FilesHolding(absl::string_view text) const {
    std::vector<std::string> holding;
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir_.path())) {
      if (!file.is_regular_file()) continue;
      std::ifstream in(file.path(), std::ios::binary);
      std::ostringstream bytes;
      bytes << in.rdbuf();
      if (absl::StrContains(bytes.str(), text)) holding.push_back(file.path().filename().string());
    }
    return holding;
  }

  void WriteEverythingOf(const std::string& user) {
    User profile;
    profile.id = user;
    profile.profile_text = "secret of " + user;
    ASSERT_THAT(*store_->UpsertUsers("shop", {profile}), IsEmpty());
    std::vector<Event> events;
    for (int i = 0; i < 40; ++i)
      events.push_back(Rating(user, absl::StrCat("item", i % 10), i % 5, kNow - absl::Minutes(i)));
    ASSERT_EQ(store_->WriteEvents("shop", events)->num_written, 40);
    ASSERT_TRUE(store_
                    ->WriteImpression("shop", {.recommendation_id = "r",
                                               .user_id = user,
                                               .scenario = "",
                                               .item_ids = {"item1"},
                                               .time = kNow})
                    .ok());
  }

  // Another user's purge writes all that is in memory into tables.
  void SettleIntoTables() {
    const auto purged = store_->PurgeUser("shop", "nobody");
    ASSERT_TRUE(purged.ok()) << purged.status();
  }
};

TEST_F(PurgeTest, RemovesEveryRowOfTheUserAndNoOther) {
  for (int i = 0; i < 10; ++i) Put(Write(absl::StrCat("item", i)));
  WriteEverythingOf(kUser);
  WriteEverythingOf("person-4711");
  const std::string token = Token();
  const auto report = store_->PurgeUser("shop", kUser);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->events, 40);
  EXPECT_EQ(report->impressions, 1);
  EXPECT_TRUE(report->had_profile);

  const UserContext gone = Context(kUser);
  EXPECT_FALSE(gone.user.has_value());
  EXPECT_THAT(gone.events, IsEmpty());
  EXPECT_TRUE(gone.seen.empty());
  EXPECT_THAT(*store_->ListImpressions("shop", kUser, 10), IsEmpty());
  EXPECT_EQ(store_->GetUser("shop", kUser).status().code(), absl::StatusCode::kNotFound);

  const UserContext other = Context("person-4711");
  EXPECT_TRUE(other.user.has_value());
  EXPECT_EQ(other.events.size(), 40u);
  EXPECT_EQ(other.seen.size(), 10u);
  EXPECT_EQ(Stats().users, 1);
  EXPECT_EQ(Stats().events, 40);
  const std::vector<Change> changes = Changes(token);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].kind, ChangeKind::kUserPurged);
  EXPECT_EQ(changes[0].key, UserFeedKey("shop", kUser));

  // The mean of the removed ratings is gone too: a first rating meets the prior alone.
  ASSERT_TRUE(Record(Rating(kUser, "item0", 4, kNow)).ok());
  const UserContext again = Context(kUser);
  ASSERT_EQ(again.events.size(), 1u);
  EXPECT_DOUBLE_EQ(again.events[0].weight, 2 * (4 - 19.0 / 6));
}

TEST_F(PurgeTest, LeavesNoByteOfTheSeenSetInAnyFile) {
  WriteEverythingOf(kUser);
  Event last = View(kUser, "item7", kNow);
  ASSERT_TRUE(Record(last).ok());
  const std::string seen = Context(kUser).seen.Serialize();
  SettleIntoTables();
  EXPECT_THAT(FilesHolding(seen), ::testing::Not(IsEmpty()))
      << "the scan must find the set before the purge";
  ASSERT_TRUE(store_->PurgeUser("shop", kUser).ok());
  EXPECT_THAT(FilesHolding(seen), IsEmpty());
}

TEST_F(PurgeTest, LeavesNoByteOfTheUserInAnyFile) {
  WriteEverythingOf(kUser);
  EXPECT_THAT(FilesHolding(kUser), ::testing::Not(IsEmpty()))
      << "the scan must find the id before the purge";
  ASSERT_TRUE(store_->PurgeUser("shop", kUser).ok());
  EXPECT_THAT(FilesHolding(kUser), IsEmpty());
}

TEST_F(PurgeTest, LeavesNoByteInOlderTablesLogsAndManifests) {
  WriteEverythingOf("aaa-before");
  WriteEverythingOf(kUser);
  SettleIntoTables();

  EXPECT_THAT(FilesHolding(kUser), ::testing::Not(IsEmpty()));

  // More rows in newer tables and in the log, and the store opened again in between.
  Open();
  WriteEverythingOf("zzz-behind");
  ASSERT_TRUE(Record(View(kUser, "another", kNow)).ok());
  SettleIntoTables();
  ASSERT_TRUE(Record(View(kUser, "yet another", kNow)).ok());

  ASSERT_TRUE(store_->PurgeUser("shop", kUser).ok());
  EXPECT_THAT(FilesHolding(kUser), IsEmpty());
  EXPECT_EQ(Context("aaa-before").events.size(), 40u);
  EXPECT_EQ(Context("zzz-behind").events.size(), 40u);

  store_.reset();
  EXPECT_THAT(FilesHolding(kUser), IsEmpty());
  Open();
  EXPECT_THAT(FilesHolding(kUser), IsEmpty());
}

TEST_F(PurgeTest, TakesBackTheUsersPartInTrending) {
  for (const char* id : {"a", "b"}) Put(Write(id));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Record(View(kUser, "a", kNow - absl::Seconds(i))).ok());
  ASSERT_TRUE(Record(View("other", "b", kNow)).ok());
  const auto trending = [&] { return Ids(Context("x", {.num_trending = 5}).trending); };
  EXPECT_THAT(trending(), ElementsAre("a", "b"));
  ASSERT_TRUE(store_->PurgeUser("shop", kUser).ok());
  EXPECT_THAT(trending(), ElementsAre("b"));
  Open();
  EXPECT_THAT(trending(), ElementsAre("b"));
}

TEST_F(PurgeTest, IsIdempotentAndTheUserMayComeBack) {
  WriteEverythingOf(kUser);
  ASSERT_TRUE(store_->PurgeUser("shop", kUser).ok());
  const auto again = store_->PurgeUser("shop", kUser);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->events, 0);
  WriteEverythingOf(kUser);
  EXPECT_EQ(Context(kUser).events.size(), 40u);
  EXPECT_EQ(WrongField(store_->PurgeUser("shop", "").status()), "user_id");
}

TEST_F(PurgeTest, HoldsWhileOthersReadAndWrite) {
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (int i = 0; !stop; ++i)
      (void)store_->WriteEvents("shop",
                                {View(absl::StrCat("u", i % 5), "i", kNow - absl::Seconds(i))});
  });
  threads.emplace_back([&] {
    while (!stop) {
      Context("u1");
      Context(kUser);
    }
  });

  for (int round = 0; round < 3; ++round) {
    WriteEverythingOf(kUser);
    const auto purged = store_->PurgeUser("shop", kUser);
    ASSERT_TRUE(purged.ok()) << purged.status();
    EXPECT_THAT(FilesHolding(kUser), IsEmpty());
  }

  stop = true;
  for (std::thread& thread : threads) thread.join();
}

// What a crash between the deletion of the rows and the cleaning of the files leaves.
TEST_F(PurgeTest, ThatWasCutShortIsCompletedByTheNextOpen) {
  WriteEverythingOf(kUser);
  SettleIntoTables();
  store_.reset();

  {
    std::vector<std::string> names;
    ASSERT_TRUE(
        rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), dir_.path() + "/state", &names).ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    for (const std::string& name : names) {
      if (name != "counters") families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    }

    rocksdb::ColumnFamilyOptions counters;
    counters.merge_operator = MakeCountMerge();
    families.emplace_back("counters", counters);
    rocksdb::DB* raw = nullptr;
    ASSERT_TRUE(
        rocksdb::DB::Open(rocksdb::DBOptions(), dir_.path() + "/state", families, &handles, &raw)
            .ok());

    const std::unique_ptr<rocksdb::DB> db(raw);
    const std::string prefix = UserPrefix(kFirstCatalog, kUser);
    const std::set<std::string> of_users = {"users", "events", "impressions", "idempotence"};
    for (rocksdb::ColumnFamilyHandle* handle : handles) {
      if (handle->GetName() == "meta") {
        ASSERT_TRUE(db->Put({}, handle, std::string(kPurgePendingKey), "").ok());
      } else if (of_users.contains(handle->GetName())) {
        ASSERT_TRUE(db->DeleteRange({}, handle, prefix, PrefixEnd(prefix)).ok());
      }
    }

    for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
  }

  EXPECT_THAT(FilesHolding(kUser), ::testing::Not(IsEmpty()));
  // The informational log that RocksDB writes by default comes from this test.
  for (const auto& file : std::filesystem::directory_iterator(dir_.path() + "/state")) {
    if (absl::StartsWith(file.path().filename().string(), "LOG"))
      std::filesystem::remove(file.path());
  }

  Open();
  EXPECT_THAT(FilesHolding(kUser), IsEmpty());
}

}  // namespace
}  // namespace palate::featurestore
