#include "retrieval/follower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "tests/eventually.h"
#include "tests/fakes/exact_segments.h"
#include "tests/fakes/fake_change_source.h"
#include "tests/retrieval/test_items.h"
#include "tests/temp_folder.h"

namespace palate::retrieval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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
  void Follow(FakeChangeSource& store) {
    follower_ = std::make_unique<Follower>(store, *set_, clock_,
                                           FollowerOptions{.watch_timeout = absl::Milliseconds(100),
                                                           .min_backoff = absl::Milliseconds(5),
                                                           .max_backoff = absl::Milliseconds(20)});
    follower_->Start();
  }

  bool CaughtUp(const FakeChangeSource& store) {
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
  FakeChangeSource store_;
  FakeChangeSource second_store_;  // the store after a restart, where a test has one
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
  const TempFolder dir;
  Reopen(dir.path());
  for (int i = 0; i < 10; ++i) store_.PutItem(TestItem(random_, i));
  Follow(store_);
  ASSERT_TRUE(CaughtUp(store_));

  FakeChangeSource& later = second_store_;
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
  const TempFolder dir;
  Reopen(dir.path());
  for (int i = 0; i < 10; ++i) store_.PutItem(TestItem(random_, i));
  Follow(store_);
  ASSERT_TRUE(CaughtUp(store_));
  follower_.reset();
  set_.reset();
  std::filesystem::resize_file(dir.file("movies.index"), 100);
  FakeChangeSource& same = second_store_;
  same.PutCatalog(TestConfig());
  for (int i = 0; i < 10; ++i) same.PutItem(TestItem(random_, i));
  Reopen(dir.path());
  EXPECT_EQ(set_->GetStats().snapshots_set_aside, 1);
  Follow(same);
  ASSERT_TRUE(Eventually([&] { return follower_->GetStats().listings == 1; }));
  EXPECT_EQ(CountItems(), 10);
}

TEST_F(FollowerTest, AListingThatARestartInterruptsStartsAgain) {
  const TempFolder dir;
  Reopen(dir.path());
  CatalogConfig config = TestConfig();
  config.attributes.back().filterable = false;  // "year"
  store_.PutCatalog(config);
  for (int i = 0; i < 10; ++i) store_.PutItem(TestItem(random_, i));
  Follow(store_);
  ASSERT_TRUE(CaughtUp(store_));

  store_.AllowPages(1);
  store_.PutCatalog(TestConfig());
  ASSERT_TRUE(Eventually([&] { return store_.pages_refused() > 0; }));
  ASSERT_TRUE(set_->Save().ok());
  FakeChangeSource& same = second_store_;  // as the first one, which the follower has cancelled
  same.ReturnTo(*store_.Save());
  ASSERT_EQ(same.end(), store_.end() + "/1");
  Reopen(dir.path());
  set_->SetPosition(same.end());  // whatever the feed would repeat
  Follow(same);

  ASSERT_TRUE(Eventually([&] { return follower_->GetStats().listings == 1; }));
  SearchRequest recent = RequestFor(RandomUnitVector(random_, 16), 100);
  recent.filter = ParsedFilter(**set_->Find("movies"), "year >= 0");
  EXPECT_EQ(FirstResult(set_->Search("movies", recent))->size(), 10u);
}

TEST_F(FollowerTest, TheIndexGivesWayToAStoreThatWasRestoredFromAnOlderCopy) {
  const ItemUpdate kept = TestItem(random_, 1, 16, 1);
  store_.PutItem(kept);
  store_.PutItem(TestItem(random_, 2));
  const auto copy = store_.Save();
  Follow(store_);
  ASSERT_TRUE(CaughtUp(store_));
  ItemUpdate hidden = TestItem(random_, 1, 16, 9);
  hidden.hidden = true;
  store_.PutItem(hidden);
  store_.DeleteItem("item-000002", 9);
  store_.PutItem(TestItem(random_, 3, 16, 9));
  ASSERT_TRUE(CaughtUp(store_));
  ASSERT_THAT(Items(), ElementsAre("item-000003"));

  store_.ReturnTo(*copy);
  for (int i = 4; i < 20; ++i) store_.PutItem(TestItem(random_, i));  // past the lost positions
  ASSERT_TRUE(CaughtUp(store_));
  EXPECT_EQ(CountItems(), 18);
  EXPECT_THAT(Items(), ::testing::IsSupersetOf({"item-000001", "item-000002"}));
  EXPECT_EQ((*set_->Find("movies"))->GetVector("item-000001", kText)->values,
            kept.vectors.front().values);
}

TEST_F(FollowerTest, ListsAnewWhenStoreDoesNotKnowThePosition) {
  const TempFolder dir;
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
