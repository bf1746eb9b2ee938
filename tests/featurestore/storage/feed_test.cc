#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "absl/time/clock.h"
#include "palate/storage/v1/records.pb.h"
#include "tests/featurestore/store_fixture.h"

namespace palate::featurestore {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FeedTest : public StoreTest {
 protected:
  void SetUp() override { OpenWithShop(); }
  absl::StatusOr<ChangeBatch> ReadNow(const std::string& token, int max = 1000) {
    return store_->ReadChanges("shop", token, max, absl::InfinitePast());
  }
};

TEST_F(FeedTest, GoesOnFromWhereAReaderStopped) {
  std::string token = Token();
  for (const char* id : {"a", "b", "c"}) Put(Write(id));
  const auto first = ReadNow(token, 2);
  ASSERT_TRUE(first.ok());
  EXPECT_THAT(Keys(first->changes), ElementsAre("a", "b"));
  const auto second = ReadNow(first->next_token, 2);
  ASSERT_TRUE(second.ok());
  EXPECT_THAT(Keys(second->changes), ElementsAre("c"));
  EXPECT_THAT(ReadNow(second->next_token)->changes, IsEmpty());
  EXPECT_EQ(second->changes[0].revision, Read("c").item.revision);
}

TEST_F(FeedTest, TokensOutliveReopening) {
  Put(Write("a"));
  const std::string token = Token();
  Open();
  EXPECT_THAT(ReadNow(token)->changes, IsEmpty());
  Put(Write("b"));
  const auto read = ReadNow(token);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(Keys(read->changes), ElementsAre("b"));
  Open();
  Open();
  EXPECT_THAT(Keys(ReadNow(token)->changes), ElementsAre("b"));
  EXPECT_THAT(ReadNow(read->next_token)->changes, IsEmpty());
}

TEST_F(FeedTest, StartsAtTheBeginningWithoutAToken) {
  Put(Write("a"));
  const auto read = ReadNow("");
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->changes.size(), 2u);
  EXPECT_EQ(read->changes[0].kind, ChangeKind::kCatalogChanged);
  EXPECT_EQ(read->changes[1].kind, ChangeKind::kItemUpserted);
}

TEST_F(FeedTest, EachCatalogHasItsOwn) {
  ASSERT_TRUE(store_->CreateCatalog(ShopCatalog("other")).ok());
  const std::string token = Token();
  ASSERT_TRUE(store_->UpsertItems("other", {Write("x")}).ok());
  EXPECT_THAT(ReadNow(token)->changes, IsEmpty());
  EXPECT_EQ(store_->ReadChanges("other", token, 10, absl::InfinitePast()).status().code(),
            absl::StatusCode::kOutOfRange);
}

TEST_F(FeedTest, AWaitingReaderWakesOnAWrite) {
  const std::string token = Token();
  std::atomic<bool> reading = false;
  absl::StatusOr<ChangeBatch> read;
  std::thread reader([&] {
    reading = true;
    read = store_->ReadChanges("shop", token, 10, absl::Now() + absl::Seconds(60));
  });
  while (!reading) std::this_thread::yield();
  Put(Write("a"));
  reader.join();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(Keys(read->changes), ElementsAre("a"));
}

TEST_F(FeedTest, AWaitEndsAtItsDeadlineWithoutChanges) {
  const auto read = store_->ReadChanges("shop", Token(), 10, absl::Now() + absl::Milliseconds(20));
  ASSERT_TRUE(read.ok());
  EXPECT_THAT(read->changes, IsEmpty());
}

TEST_F(FeedTest, ClosingTheStoreEndsAWait) {
  const std::string token = Token();
  std::thread reader([&] { (void)store_->ReadChanges("shop", token, 10, absl::InfiniteFuture()); });
  EXPECT_TRUE(store_->Close().ok());
  reader.join();
  EXPECT_EQ(store_->GetCatalog("shop").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(store_->UpsertItems("shop", {Write("a")}).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE(store_->Close().ok());
}

TEST_F(FeedTest, DeletingTheCatalogEndsAWait) {
  const std::string token = Token();
  absl::StatusOr<ChangeBatch> read;
  std::thread reader(
      [&] { read = store_->ReadChanges("shop", token, 10, absl::InfiniteFuture()); });
  EXPECT_TRUE(store_->DeleteCatalog("shop").ok());
  reader.join();
  EXPECT_EQ(read.status().code(), absl::StatusCode::kNotFound);
}

TEST_F(FeedTest, RefusesStrangeTokens) {
  EXPECT_EQ(WrongField(ReadNow("\xff\xff\xff").status()), "resume_token");
  EXPECT_EQ(WrongField(ReadNow("", 0).status()), "max_changes");
  EXPECT_EQ(WrongField(ReadNow("", 10001).status()), "max_changes");
}

TEST_F(FeedTest, ATokenOfAStoreThatWasReplacedIsOutOfRange) {
  for (int i = 0; i < 5; ++i) Put(Write(absl::StrCat("item", i)));
  const std::string token = Token();
  store_.reset();
  std::filesystem::remove_all(dir_.path());
  OpenWithShop();
  EXPECT_EQ(ReadNow(token).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(FeedTest, ATokenOfAHistoryThatARestoredCopyTookBackIsOutOfRangeHoweverLongTheNewHistoryIs) {
  Put(Write("kept"));
  const std::string kept = Token();
  store_.reset();
  const TempFolder saved;
  std::filesystem::remove_all(saved.path());
  std::filesystem::copy(dir_.path(), saved.path(), std::filesystem::copy_options::recursive);

  Open();
  const std::string at_open = Token();
  for (int i = 0; i < 3; ++i) Put(Write(absl::StrCat("lost", i)));
  const std::string lost = Token();
  store_.reset();
  std::filesystem::remove_all(dir_.path());
  std::filesystem::copy(saved.path(), dir_.path(), std::filesystem::copy_options::recursive);

  Open();
  for (int i = 0; i < 10; ++i) Put(Write(absl::StrCat("new", i)));
  EXPECT_EQ(ReadNow(lost).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ReadNow(at_open).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Keys(ReadNow(kept)->changes).size(), 10u) << "the copy has all that this token is of";
}

TEST_F(FeedTest, TheStoreTakesAnotherIncarnationAtEachOpenAndKeepsItInBetween) {
  const std::string first = store_->GetStats()->incarnation;
  Put(Write("a"));
  EXPECT_EQ(store_->GetStats()->incarnation, first);
  EXPECT_EQ(first.size(), 16u);
  Open();
  EXPECT_NE(store_->GetStats()->incarnation, first);
}

TEST_F(FeedTest, ATokenWithoutIncarnationAsOlderVersionsMadeItIsOutOfRange) {
  palate::storage::v1::FeedToken token;
  ASSERT_TRUE(token.ParseFromString(Token()));
  EXPECT_NE(token.incarnation(), 0u);
  token.clear_incarnation();
  EXPECT_EQ(ReadNow(token.SerializeAsString()).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(FeedTest, TrimmingByCountMakesOldTokensOutOfRange) {
  StoreOptions options = Options();
  options.feed_max_entries = 10;
  Open(options);
  const std::string old = Token();
  for (int i = 0; i < 30; ++i) Put(Write(absl::StrCat("item", i)));
  EXPECT_LE(Stats().feed_entries, 11);
  EXPECT_EQ(ReadNow(old).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ReadNow("").status().code(), absl::StatusCode::kOutOfRange);
  const std::string now = Token();
  Put(Write("last"));
  EXPECT_THAT(Keys(ReadNow(now)->changes), ElementsAre("last"));
  Open(options);
  EXPECT_LE(Stats().feed_entries, 12);
  EXPECT_EQ(ReadNow(old).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(Keys(ReadNow(now)->changes), ElementsAre("last"));
}

TEST_F(FeedTest, TrimmingByAgeKeepsWhatIsYoung) {
  const std::string start = Token();
  Put(Write("old"));
  const std::string middle = Token();
  clock_->Advance(absl::Hours(24 * 8));
  Put(Write("young"));
  ASSERT_TRUE(store_->TrimFeed().ok());
  EXPECT_EQ(ReadNow(start).status().code(), absl::StatusCode::kOutOfRange);
  const auto read = ReadNow(middle);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(Keys(read->changes), ElementsAre("young"));
}

TEST_F(FeedTest, AnEmptiedFeedGoesOnAfterReopening) {
  clock_->Advance(absl::Hours(24 * 8));
  ASSERT_TRUE(store_->TrimFeed().ok());
  const std::string token = Token();
  Open();
  EXPECT_THAT(ReadNow(token)->changes, IsEmpty());
  Put(Write("a"));
  EXPECT_THAT(Keys(ReadNow(token)->changes), ElementsAre("a"));
}

TEST_F(FeedTest, ListThenWatchUnderConcurrentWritersMissesNothing) {
  constexpr int kWriters = 4;
  constexpr int kWrites = 60;
  std::atomic<int> written = 0;
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      for (int i = 0; i < kWrites; ++i) {
        const std::string id = absl::StrCat("item", (w * 7 + i) % 20);
        if (i % 9 == 8) {
          (void)store_->DeleteItems("shop", {id});
        } else {
          (void)store_->UpsertItems("shop", {Write(id, absl::StrCat("title ", w, " ", i))});
        }
        (void)store_->WriteEvents("shop",
                                  {View(absl::StrCat("user", w), id, kNow - absl::Seconds(i))});
        ++written;
      }
    });
  }

  while (written < kWriters * kWrites / 3) std::this_thread::yield();

  // The reader's view: a listing, then every change after the token from before the listing.
  std::string token = Token();
  std::map<std::string, int64_t> view;
  const auto listed = store_->ListItems("shop", 0, "");
  ASSERT_TRUE(listed.ok());
  for (const StoredItem& item : listed->items) view[item.item.id] = item.item.revision;
  const auto apply = [&](absl::Time deadline) {
    const auto batch = store_->ReadChanges("shop", token, 7, deadline);
    EXPECT_TRUE(batch.ok()) << batch.status();
    if (!batch.ok()) return false;
    for (const Change& change : batch->changes) {
      const auto read = store_->GetItems("shop", {change.key});
      if (read.ok() && read->items[0].has_value()) {
        view[change.key] = read->items[0]->item.revision;
      } else {
        view.erase(change.key);
      }
    }
    token = batch->next_token;
    return !batch->changes.empty();
  };

  while (written < kWriters * kWrites) apply(absl::Now() + absl::Milliseconds(5));
  for (std::thread& writer : writers) writer.join();
  while (apply(absl::InfinitePast())) {
  }

  std::map<std::string, int64_t> truth;
  const auto last = store_->ListItems("shop", 0, "");
  ASSERT_TRUE(last.ok());
  for (const StoredItem& item : last->items) truth[item.item.id] = item.item.revision;
  EXPECT_EQ(view, truth);
  EXPECT_EQ(Stats().items, static_cast<int64_t>(truth.size()));
  EXPECT_EQ(Stats().embedding_backlog, static_cast<int64_t>(truth.size()));
}

TEST_F(FeedTest, ReadersAndWritersOfEverythingRunSideBySide) {
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (int i = 0; i < 150; ++i) {
      const auto put =
          store_->UpsertItems("shop", {Write(absl::StrCat("i", i % 10), absl::StrCat("t", i))});
      if (put.ok())
        (void)store_->PutVectors("shop", absl::StrCat("i", i % 10), put->revisions[0],
                                 {Vector("text", "m", {1, 2})}, true);
    }
    stop = true;
  });
  threads.emplace_back([&] {
    for (int i = 0; !stop; ++i)
      (void)store_->WriteEvents("shop", {Rating(absl::StrCat("u", i % 3), absl::StrCat("i", i % 10),
                                                i % 5, kNow - absl::Seconds(i))});
  });
  threads.emplace_back([&] {
    while (!stop) {
      const UserContext context =
          Context("u1", {.spaces = {"text"}, .num_trending = 5, .num_fresh = 5});
      for (const ContextEvent& event : context.events)
        EXPECT_LT(event.item_index, static_cast<int>(context.items.size()));
    }
  });
  threads.emplace_back([&] {
    while (!stop) {
      (void)store_->GetStats();
      (void)store_->ListPending("shop", 10);
      (void)store_->TrimFeed();
    }
  });
  threads.emplace_back([&] {
    for (int i = 0; !stop; ++i)
      (void)store_->SetTargetSpaces("shop", {{"text", i % 2 == 0 ? "m" : "n"}});
  });

  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace palate::featurestore
