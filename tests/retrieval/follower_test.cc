#include "retrieval/follower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/retrieval/exact_segments.h"
#include "tests/retrieval/temporary_dir.h"
#include "tests/retrieval/test_items.h"

namespace palate::retrieval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A feature store in memory. The tokens of its feed are numbers of entries.
class FakeStore final : public ChangeSource {
 public:
  void PutCatalog(CatalogConfig config) {
    MutexLock lock(mutex_);
    const std::string id = config.id;
    catalogs_[id].config = std::move(config);
    Append({.kind = Change::Kind::kCatalog, .catalog = id});
  }
  void DropCatalog(const std::string& id) {
    MutexLock lock(mutex_);
    catalogs_.erase(id);
    Append({.kind = Change::Kind::kCatalogDeleted, .catalog = id});
  }
  void PutItem(ItemUpdate item, const std::string& catalog = "movies") {
    MutexLock lock(mutex_);
    Append({.kind = Change::Kind::kItem,
            .catalog = catalog,
            .item_id = item.item_id,
            .revision = item.revision});
    catalogs_[catalog].items[item.item_id] = std::move(item);
  }
  void DeleteItem(const std::string& id, int64_t revision, const std::string& catalog = "movies") {
    MutexLock lock(mutex_);
    catalogs_[catalog].items.erase(id);
    Append(
        {.kind = Change::Kind::kDelete, .catalog = catalog, .item_id = id, .revision = revision});
  }
  void SetDown(bool down) {
    MutexLock lock(mutex_);
    down_ = down;
    changed_.SignalAll();
  }
  void Trim() {
    MutexLock lock(mutex_);
    trimmed_ = feed_.size();
  }
  int calls_while_down() const {
    MutexLock lock(mutex_);
    return calls_while_down_;
  }
  std::string end() const {
    MutexLock lock(mutex_);
    return absl::StrCat(feed_.size());
  }

  absl::StatusOr<std::vector<CatalogConfig>> ListCatalogs() override {
    MutexLock lock(mutex_);
    if (absl::Status up = Check(); !up.ok()) return up;
    std::vector<CatalogConfig> configs;
    for (const auto& [id, catalog] : catalogs_) configs.push_back(catalog.config);
    return configs;
  }
  absl::StatusOr<std::string> CurrentPosition() override {
    MutexLock lock(mutex_);
    if (absl::Status up = Check(); !up.ok()) return up;
    return absl::StrCat(feed_.size());
  }
  // Pages of three items. The token is the last id of the previous page.
  absl::StatusOr<ItemPage> ListItems(const std::string& catalog,
                                     const std::string& page_token) override {
    MutexLock lock(mutex_);
    if (absl::Status up = Check(); !up.ok()) return up;
    if (!catalogs_.contains(catalog)) return absl::NotFoundError("no such catalog");
    const auto& items = catalogs_[catalog].items;
    ItemPage page;
    for (auto item = items.upper_bound(page_token); item != items.end(); ++item) {
      if (page.items.size() == 3) {
        page.next_page_token = page.items.back().item_id;
        break;
      }
      page.items.push_back(item->second);
    }
    return page;
  }
  absl::StatusOr<std::vector<ItemUpdate>> GetItems(const std::string& catalog,
                                                   const std::vector<std::string>& ids) override {
    MutexLock lock(mutex_);
    if (absl::Status up = Check(); !up.ok()) return up;
    if (!catalogs_.contains(catalog)) return absl::NotFoundError("no such catalog");
    std::vector<ItemUpdate> found;
    for (const std::string& id : ids) {
      const auto item = catalogs_[catalog].items.find(id);
      if (item != catalogs_[catalog].items.end()) found.push_back(item->second);
    }
    return found;
  }
  absl::StatusOr<ChangeBatch> WatchChanges(const std::string& position,
                                           absl::Duration timeout) override {
    MutexLock lock(mutex_);
    size_t from = 0;
    EXPECT_TRUE(absl::SimpleAtoi(position, &from));
    const absl::Time end = absl::Now() + timeout;
    while (true) {
      if (absl::Status up = Check(); !up.ok()) return up;
      if (from < trimmed_) return absl::OutOfRangeError("trimmed");
      if (from > feed_.size()) return absl::InvalidArgumentError("no such position");
      if (from < feed_.size() || absl::Now() >= end) break;
      changed_.WaitFor(mutex_, end - absl::Now());
    }
    ChangeBatch batch;
    while (from < feed_.size() && batch.changes.size() < 5) batch.changes.push_back(feed_[from++]);
    batch.next_position = absl::StrCat(from);
    return batch;
  }
  void Cancel() override {
    MutexLock lock(mutex_);
    cancelled_ = true;
    changed_.SignalAll();
  }

 private:
  struct Stored {
    CatalogConfig config;
    std::map<std::string, ItemUpdate> items;
  };

  void Append(Change change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    feed_.push_back(std::move(change));
    changed_.SignalAll();
  }
  absl::Status Check() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (cancelled_) return absl::CancelledError("cancelled");
    if (!down_) return absl::OkStatus();
    ++calls_while_down_;
    changed_.SignalAll();
    return absl::UnavailableError("the store is down");
  }

  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Stored> catalogs_ ABSL_GUARDED_BY(mutex_);
  std::vector<Change> feed_ ABSL_GUARDED_BY(mutex_);
  size_t trimmed_ ABSL_GUARDED_BY(mutex_) = 0;
  bool down_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  int calls_while_down_ ABSL_GUARDED_BY(mutex_) = 0;
};

class FollowerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_.PutCatalog(TestConfig());
    Reopen();
  }
  void TearDown() override {
    follower_.reset();
    set_.reset();
  }

  void Reopen(const std::string& snapshot_dir = "") {
    follower_.reset();
    set_.reset();
    auto set = IndexSet::Create({.search_threads = 1,
                                 .snapshot_dir = snapshot_dir,
                                 .snapshot_interval = absl::ZeroDuration()},
                                segments_, clock_);
    ASSERT_TRUE(set.ok()) << set.status();
    set_ = *std::move(set);
  }
  void Follow(FakeStore& store) {
    follower_ = std::make_unique<Follower>(store, *set_, clock_,
                                           FollowerOptions{.watch_timeout = absl::Milliseconds(100),
                                                           .min_backoff = absl::Milliseconds(5),
                                                           .max_backoff = absl::Milliseconds(20)});
    follower_->Start();
  }

  static bool Eventually(const std::function<bool()>& holds) {
    const absl::Time give_up = absl::Now() + absl::Seconds(30);
    while (!holds()) {
      if (absl::Now() > give_up) return false;
      absl::SleepFor(absl::Milliseconds(2));
    }
    return true;
  }
  bool CaughtUp(const FakeStore& store) {
    return Eventually([&] { return set_->position() == store.end(); });
  }
  std::vector<std::string> Items(const std::string& catalog = "movies") {
    const SearchResult found =
        FirstResult(set_->Search(catalog, RequestFor(RandomUnitVector(random_, 16), 1000)));
    std::vector<std::string> ids =
        found.ok() ? IdsOf(*found) : std::vector<std::string>{found.status().ToString()};
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  int64_t CountItems(const std::string& catalog = "movies") {
    const auto index = set_->Find(catalog);
    return index.ok() ? (*index)->GetStats().items : -1;
  }

  std::mt19937 random_{5};
  SystemClock clock_;
  ExactSegments segments_;
  FakeStore store_;
  FakeStore second_store_;  // the store after a restart, where a test has one
  std::unique_ptr<IndexSet> set_;
  std::unique_ptr<Follower> follower_;
};

TEST_F(FollowerTest, ListsThenFollowsWritesAndDeletes) {
  for (int i = 0; i < 10; ++i) store_.PutItem(TestItem(random_, i));
  EXPECT_FALSE(set_->Find("movies").ok());
  Follow(store_);
  ASSERT_TRUE(Eventually([&] { return follower_->ready(); }));
  EXPECT_EQ(CountItems(), 10);

  store_.PutItem(TestItem(random_, 10));
  store_.DeleteItem("item-000003", 2);
  const ItemUpdate changed = TestItem(random_, 4, 16, 2);
  store_.PutItem(changed);
  ASSERT_TRUE(CaughtUp(store_));
  EXPECT_EQ(CountItems(), 10);
  EXPECT_EQ((*set_->Find("movies"))->GetVector("item-000004", kText)->values,
            changed.vectors.front().values);

  const FollowerStats stats = follower_->GetStats();
  EXPECT_TRUE(stats.connected);
  EXPECT_EQ(stats.listings, 1);
  EXPECT_EQ(stats.changes, 3);
  ASSERT_TRUE(Eventually([&] { return follower_->GetStats().lag == absl::ZeroDuration(); }));
}

TEST_F(FollowerTest, FindsChangesThatHappenDuringTheListing) {
  for (int i = 0; i < 30; ++i) store_.PutItem(TestItem(random_, i));
  Follow(store_);

  for (int i = 0; i < 200; ++i) {
    if (i % 3 == 0) {
      store_.DeleteItem(TestItem(random_, i / 3).item_id, 2);
    } else {
      store_.PutItem(TestItem(random_, 1000 + i));
    }
  }

  ASSERT_TRUE(CaughtUp(store_));
  EXPECT_EQ(CountItems(), 133);
}

TEST_F(FollowerTest, KeepsServingWhileStoreIsDownAndHealsAfterwards) {
  for (int i = 0; i < 5; ++i) store_.PutItem(TestItem(random_, i));
  Follow(store_);
  ASSERT_TRUE(CaughtUp(store_));

  store_.SetDown(true);
  ASSERT_TRUE(Eventually([&] { return store_.calls_while_down() >= 5; }));
  EXPECT_TRUE(follower_->ready());
  const FollowerStats down = follower_->GetStats();
  EXPECT_FALSE(down.connected);
  EXPECT_THAT(down.last_error, HasSubstr("the store is down"));
  EXPECT_EQ(down.reconnects, 1);
  EXPECT_GT(down.lag, absl::ZeroDuration());
  EXPECT_EQ(Items().size(), 5u);

  store_.PutItem(TestItem(random_, 5));
  store_.SetDown(false);
  ASSERT_TRUE(CaughtUp(store_));
  EXPECT_EQ(Items().size(), 6u);
  EXPECT_TRUE(follower_->GetStats().connected);
  EXPECT_EQ(follower_->GetStats().listings, 1) << "resumed by token";
}

TEST_F(FollowerTest, WaitsForStoreThatIsDownAtStart) {
  store_.SetDown(true);
  Follow(store_);
  ASSERT_TRUE(Eventually([&] { return store_.calls_while_down() >= 3; }));
  EXPECT_FALSE(follower_->ready());

  store_.PutItem(TestItem(random_, 1));
  store_.SetDown(false);
  ASSERT_TRUE(Eventually([&] { return follower_->ready(); }));
  EXPECT_EQ(CountItems(), 1);
}

TEST_F(FollowerTest, ListsAnewWhenFeedWasTrimmedAndSweepsVanishedItems) {
  for (int i = 0; i < 10; ++i) store_.PutItem(TestItem(random_, i));
  Follow(store_);
  ASSERT_TRUE(CaughtUp(store_));

  store_.SetDown(true);
  ASSERT_TRUE(Eventually([&] { return store_.calls_while_down() > 0; }));
  for (int i = 0; i < 5; ++i) store_.DeleteItem(TestItem(random_, i).item_id, 2);
  store_.PutItem(TestItem(random_, 50));
  store_.Trim();
  store_.SetDown(false);

  ASSERT_TRUE(CaughtUp(store_));
  EXPECT_THAT(Items(), ElementsAre("item-000005", "item-000006", "item-000007", "item-000008",
                                   "item-000009", "item-000050"));
  EXPECT_EQ(follower_->GetStats().listings, 2);
}

TEST_F(FollowerTest, ResumesFromSnapshotWithoutListing) {
  const TemporaryDir dir;
  Reopen(dir.path());
  for (int i = 0; i < 10; ++i) store_.PutItem(TestItem(random_, i));
  Follow(store_);
  ASSERT_TRUE(CaughtUp(store_));

  FakeStore& later = second_store_;
  later.PutCatalog(TestConfig());
  for (int i = 0; i < 10; ++i) later.PutItem(TestItem(random_, i));
  later.DeleteItem("item-000000", 2);
  later.PutItem(TestItem(random_, 10));
  later.SetDown(true);

  Reopen(dir.path());
  Follow(later);
  EXPECT_TRUE(follower_->ready()) << "a snapshot serves while the store is down";
  EXPECT_EQ(CountItems(), 10);

  later.SetDown(false);
  ASSERT_TRUE(CaughtUp(later));
  EXPECT_EQ(follower_->GetStats().listings, 0);
  EXPECT_EQ(CountItems(), 10);
  EXPECT_THAT(Items(), ::testing::Not(::testing::Contains("item-000000")));
}

TEST_F(FollowerTest, RebuildsFromStoreWhenSnapshotIsCorrupt) {
  const TemporaryDir dir;
  Reopen(dir.path());
  for (int i = 0; i < 10; ++i) store_.PutItem(TestItem(random_, i));
  Follow(store_);
  ASSERT_TRUE(CaughtUp(store_));
  follower_.reset();
  set_.reset();
  std::filesystem::resize_file(dir.File("movies.index"), 100);
  FakeStore& same = second_store_;
  same.PutCatalog(TestConfig());
  for (int i = 0; i < 10; ++i) same.PutItem(TestItem(random_, i));
  Reopen(dir.path());
  EXPECT_EQ(set_->GetStats().snapshots_set_aside, 1);
  Follow(same);
  ASSERT_TRUE(Eventually([&] { return follower_->GetStats().listings == 1; }));
  EXPECT_EQ(CountItems(), 10);
}

TEST_F(FollowerTest, ListsAnewWhenStoreDoesNotKnowThePosition) {
  const TemporaryDir dir;
  Reopen(dir.path());
  store_.PutItem(TestItem(random_, 1));
  Follow(store_);
  ASSERT_TRUE(CaughtUp(store_));
  second_store_.PutCatalog(TestConfig());  // another store, whose feed is shorter
  Reopen(dir.path());
  EXPECT_EQ(CountItems(), 1);
  Follow(second_store_);
  ASSERT_TRUE(CaughtUp(second_store_));
  EXPECT_EQ(CountItems(), 0);
}

TEST_F(FollowerTest, CreatesDropsAndReplacesCatalogs) {
  Follow(store_);
  ASSERT_TRUE(Eventually([&] { return follower_->ready(); }));
  CatalogConfig shop = TestConfig();
  shop.id = "shop";
  store_.PutCatalog(shop);
  store_.PutItem(TestItem(random_, 1), "shop");
  ASSERT_TRUE(CaughtUp(store_));
  EXPECT_THAT(set_->Catalogs(), ElementsAre("movies", "shop"));
  EXPECT_THAT(Items("shop"), ElementsAre("item-000001"));
  store_.DropCatalog("shop");
  ASSERT_TRUE(CaughtUp(store_));
  EXPECT_THAT(set_->Catalogs(), ElementsAre("movies"));
  shop.create_time = absl::FromUnixSeconds(77);
  store_.PutCatalog(shop);
  ASSERT_TRUE(CaughtUp(store_));
  EXPECT_THAT(Items("shop"), IsEmpty());
}

TEST_F(FollowerTest, KeepsNothingOfACatalogThatWasReplacedByAnEqualDeclarationWhileItWasAway) {
  CatalogConfig shop = TestConfig();
  shop.id = "shop";
  store_.PutCatalog(shop);
  store_.PutItem(TestItem(random_, 1), "shop");
  Follow(store_);
  ASSERT_TRUE(Eventually([&] { return follower_->ready(); }));
  ASSERT_TRUE(CaughtUp(store_));
  ASSERT_THAT(Items("shop"), ElementsAre("item-000001"));
  store_.SetDown(true);
  store_.DropCatalog("shop");
  store_.PutCatalog(shop);  // with the same create_time and declarations
  store_.PutItem(TestItem(random_, 2), "shop");
  store_.SetDown(false);
  ASSERT_TRUE(CaughtUp(store_));
  EXPECT_THAT(Items("shop"), ElementsAre("item-000002"));
}

TEST_F(FollowerTest, SwitchesActiveFingerprintWithTheStore) {
  CatalogConfig config = TestConfig();
  config.active_fingerprints["text"] = kText.fingerprint;
  store_.PutCatalog(config);
  std::vector<ItemUpdate> items = TestItems(random_, 4);
  for (const ItemUpdate& item : items) store_.PutItem(item);
  Follow(store_);
  ASSERT_TRUE(CaughtUp(store_));
  for (ItemUpdate& item : items) {
    item.vectors.push_back({.space = kTextNext, .values = RandomUnitVector(random_, 16)});
    store_.PutItem(item);
  }
  ASSERT_TRUE(CaughtUp(store_));
  EXPECT_EQ(*(*set_->Find("movies"))->ActiveFingerprint("text"), "model-1");
  config.active_fingerprints["text"] = kTextNext.fingerprint;
  store_.PutCatalog(config);
  ASSERT_TRUE(CaughtUp(store_));
  EXPECT_EQ(*(*set_->Find("movies"))->ActiveFingerprint("text"), "model-2");
}

TEST_F(FollowerTest, LeavesUnusableItemsOutAndGoesOn) {
  ItemUpdate broken = TestItem(random_, 1);
  broken.revision = 0;
  store_.PutItem(broken);
  store_.PutItem(TestItem(random_, 2));
  Follow(store_);
  ASSERT_TRUE(CaughtUp(store_));
  EXPECT_THAT(Items(), ElementsAre("item-000002"));
}

TEST_F(FollowerTest, StopsWhileWaitingForChanges) {
  Follow(store_);
  ASSERT_TRUE(Eventually([&] { return follower_->ready(); }));
  follower_->Stop();
  follower_->Stop();
}

}  // namespace
}  // namespace palate::retrieval
