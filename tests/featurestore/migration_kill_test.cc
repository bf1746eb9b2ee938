// Twenty times: a process opens a large store of format 2 and is killed at a random moment, once or
// more often. Whoever opens it next must find the store that an undisturbed migration makes.
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "featurestore/storage/count_merge.h"
#include "featurestore/storage/keys.h"
#include "featurestore/storage/seen_merge.h"
#include "tests/featurestore/store_fixture.h"
#include "tests/temp_folder.h"

extern char** environ;

namespace palate::featurestore {
namespace {

constexpr int kMigrations = 20;
constexpr int kMoreItems = 4000;
constexpr int kMoreUsers = 100;
constexpr int kSeenByEach = 300;

// The rows of a closed store.
class RawStore {
 public:
  explicit RawStore(const std::string& dir) {
    const std::string state = dir + "/state";
    std::vector<std::string> names;
    EXPECT_TRUE(rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), state, &names).ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const std::string& name : names) {
      rocksdb::ColumnFamilyOptions options;
      if (name == "counters") options.merge_operator = MakeCountMerge();
      if (name == "users") options.merge_operator = MakeSeenMerge();
      families.emplace_back(name, options);
    }
    rocksdb::DB* db = nullptr;
    const rocksdb::Status opened =
        rocksdb::DB::Open(rocksdb::DBOptions(), state, families, &handles_, &db);
    EXPECT_TRUE(opened.ok()) << opened.ToString();
    db_.reset(db);
  }
  ~RawStore() {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
    EXPECT_TRUE(db_->Close().ok());
  }
  rocksdb::DB& db() { return *db_; }
  rocksdb::ColumnFamilyHandle* family(const std::string& name) const {
    const auto found = std::find_if(handles_.begin(), handles_.end(),
                                    [&](const auto* handle) { return handle->GetName() == name; });
    return found == handles_.end() ? nullptr : *found;
  }
  std::string Get(const std::string& name, const std::string& key) {
    std::string value;
    EXPECT_TRUE(db_->Get({}, family(name), key, &value).ok());
    return value;
  }

 private:
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  std::unique_ptr<rocksdb::DB> db_;
};

class MigrationKillTest : public StoreTest {
 protected:
  // The stored directory of format 2 with more items, and with users whose seen rows overlap: user
  // k has seen the items k to k + 299.
  void SetUp() override {
    std::filesystem::copy(std::string(PALATE_SOURCE_DIR) + "/tests/featurestore/format_2",
                          large_.path(), std::filesystem::copy_options::recursive);
    RawStore raw(large_.path());
    rocksdb::WriteBatch batch;
    const std::string item = raw.Get("items", ItemKey(kFirstCatalog, "a"));
    for (int i = 0; i < kMoreItems; ++i)
      batch.Put(raw.family("items"), ItemKey(kFirstCatalog, absl::StrCat("more", i)), item);

    const std::string aggregate = raw.Get("users", AggregateKey(UserPrefix(kFirstCatalog, "v")));
    for (int k = 0; k < kMoreUsers; ++k) {
      const std::string user = UserPrefix(kFirstCatalog, UserName(k));
      batch.Put(raw.family("users"), AggregateKey(user), aggregate);
      for (int i = k; i < k + kSeenByEach; ++i) {
        std::string key = OldSeenPrefix(user);
        AppendId(absl::StrCat("watched", i), key);
        batch.Put(raw.family("users"), key, "");
      }
    }
    ASSERT_TRUE(raw.db().Write({}, &batch).ok());
  }

  static std::string UserName(int k) { return absl::StrCat("many", 1000 + k); }

  void StartAnew() {
    std::filesystem::remove_all(dir_.path());
    std::filesystem::copy(large_.path(), dir_.path(), std::filesystem::copy_options::recursive);
  }

  // Opens the store in a process of its own and kills it after `run`. False when it had ended.
  bool OpenAndKill(absl::Duration run) {
    std::vector<std::string> arguments = {PALATE_KILL_WRITER, dir_.path(), "open", "0"};
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_t child = 0;
    EXPECT_EQ(posix_spawn(&child, argv[0], nullptr, nullptr, argv.data(), environ), 0);

    // The moment of the kill is the only use of time.
    absl::SleepFor(run);
    kill(child, SIGKILL);
    int state = 0;
    waitpid(child, &state, 0);
    EXPECT_TRUE(WIFSIGNALED(state) || WEXITSTATUS(state) == 0) << "the opening failed: " << state;
    return WIFSIGNALED(state);
  }

  // Whether some rows are of format 3 and others not yet.
  bool IsHalfMigrated() {
    RawStore raw(dir_.path());
    if (raw.Get("meta", std::string(kFormatVersionKey)) != "2") return false;
    if (raw.family("numbers") == nullptr) return false;
    const std::unique_ptr<rocksdb::Iterator> rows(raw.db().NewIterator({}, raw.family("numbers")));
    rows->SeekToFirst();
    return rows->Valid();
  }

  void ExpectMigrated() {
    EXPECT_EQ(store_->GetStats()->format_version, 3);
    std::set<uint32_t> numbers;
    std::string token;
    size_t items = 0;
    do {
      const auto page = store_->ListItems("shop", 1000, token);
      ASSERT_TRUE(page.ok()) << page.status();
      for (const StoredItem& item : page->items) numbers.insert(item.item.number);
      items += page->items.size();
      token = page->next_page_token;
    } while (!token.empty());
    EXPECT_EQ(items, size_t{kMoreItems + 4});
    EXPECT_EQ(numbers.size(), items) << "two items share a number";
    EXPECT_FALSE(numbers.contains(0));

    EXPECT_EQ(Context("u").seen.size(), 4u);
    EXPECT_EQ(Context("v").seen.size(), 300u);
    ExpectSeenSets();
  }

  // The users' sets name the same items by the same numbers.
  void ExpectSeenSets() {
    std::vector<uint32_t> before;
    std::set<uint32_t> all;
    for (int k = 0; k < kMoreUsers; ++k) {
      const std::vector<uint32_t> seen = Context(UserName(k)).seen.Numbers();
      ASSERT_EQ(seen.size(), size_t{kSeenByEach}) << UserName(k);
      all.insert(seen.begin(), seen.end());
      std::vector<uint32_t> shared;
      std::set_intersection(before.begin(), before.end(), seen.begin(), seen.end(),
                            std::back_inserter(shared));
      EXPECT_EQ(shared.size(), k == 0 ? 0 : size_t{kSeenByEach - 1}) << UserName(k);
      before = seen;
    }
    EXPECT_EQ(all.size(), size_t{kSeenByEach + kMoreUsers - 1});
  }

  void ExpectNoOldRows() {
    RawStore raw(dir_.path());
    const std::unique_ptr<rocksdb::Iterator> rows(raw.db().NewIterator({}, raw.family("users")));
    int64_t old = 0;
    for (int k = 0; k < kMoreUsers; ++k) {
      const std::string prefix = OldSeenPrefix(UserPrefix(kFirstCatalog, UserName(k)));
      rows->Seek(prefix);
      old += rows->Valid() && rows->key().starts_with(prefix) ? 1 : 0;
    }
    EXPECT_EQ(old, 0) << "users with seen rows of the old format";
  }

  TempFolder large_;
  std::mt19937 random_{20260102};
};

TEST_F(MigrationKillTest, KillAtAnyMomentOfTheMigrationLeavesAStoreThatTheNextOpeningCompletes) {
  StartAnew();
  const absl::Time start = absl::Now();
  Open();
  const absl::Duration whole = absl::Now() - start;
  ExpectMigrated();
  store_.reset();

  int killed = 0;
  int half = 0;
  for (int round = 0; round < kMigrations && !HasFailure(); ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    StartAnew();
    const int kills = 1 + static_cast<int>(random_() % 3);
    for (int i = 0; i < kills; ++i) {
      killed += OpenAndKill(whole * (static_cast<double>(random_() % 1000) / 1000)) ? 1 : 0;
      half += IsHalfMigrated() ? 1 : 0;
    }
    Open();
    ExpectMigrated();
    store_.reset();
    ExpectNoOldRows();
  }
  EXPECT_GT(half, 0) << "no kill fell into the migration";
  std::printf("%d kills over %d migrations of %d ms, %d of them half-way\n", killed, kMigrations,
              static_cast<int>(absl::ToInt64Milliseconds(whole)), half);
}

}  // namespace
}  // namespace palate::featurestore
