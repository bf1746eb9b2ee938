#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <set>
#include <thread>

#include "rocksdb/perf_context.h"
#include "tests/featurestore/store_fixture.h"

namespace palate::featurestore {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::UnorderedElementsAre;

std::vector<double> Weights(const UserContext& context) {
  std::vector<double> weights;
  for (const ContextEvent& event : context.events) weights.push_back(event.weight);
  return weights;
}

class EventsTest : public StoreTest {
 protected:
  void SetUp() override { OpenWithShop(); }

  std::string Refused(const std::function<void(Event&)>& change) {
    Event event = View("u", "i", kNow);
    change(event);
    const absl::Status status = Record(event);
    return status.ok() ? "accepted" : WrongField(status);
  }
};

TEST_F(EventsTest, RefuseWrongFieldsNamingThem) {
  EXPECT_EQ(Refused([](Event& e) { e.user_id = ""; }), "user_id");
  EXPECT_EQ(Refused([](Event& e) { e.item_id = std::string(300, 'i'); }), "item_id");
  EXPECT_EQ(Refused([](Event& e) { e.event_id = "\x01"; }), "event_id");
  EXPECT_EQ(Refused([](Event& e) { e.session_id = "\xff"; }), "session_id");
  EXPECT_EQ(Refused([](Event& e) { e.type = "bought"; }), "event_type");
  EXPECT_EQ(Refused([](Event& e) { e.value = std::numeric_limits<double>::infinity(); }), "value");
  EXPECT_EQ(Refused([](Event& e) { e.type = "rating"; }), "value");
  EXPECT_EQ(Refused([](Event& e) { e.time = absl::UnixEpoch() - absl::Seconds(1); }), "event_time");
  EXPECT_EQ(Refused([](Event& e) { e.time = kNow + absl::Hours(25); }), "event_time");
  EXPECT_EQ(Refused([](Event& e) { e.time = kNow - absl::Hours(24 * 31); }), "event_time");
  EXPECT_EQ(Refused([](Event& e) { e.time = kNow + absl::Hours(23); }), "accepted");
  EXPECT_EQ(Stats().events, 1);
  EXPECT_EQ(WrongField(store_->WriteEvents("shop", {}).status()), "events");
}

TEST_F(EventsTest, ImportsSkipTheLatenessBoundOnly) {
  const absl::Time nineties = absl::FromUnixSeconds(830'000'000);
  EXPECT_FALSE(Record(View("u", "i", nineties)).ok());
  EXPECT_TRUE(Record(View("u", "i", nineties), {.skip_lateness_bound = true}).ok());
  EXPECT_FALSE(Record(View("u", "i", kNow + absl::Hours(25)), {.skip_lateness_bound = true}).ok());
}

TEST_F(EventsTest, OneBadElementFailsAlone) {
  const auto result = store_->WriteEvents(
      "shop", {View("u", "a", kNow), View("", "a", kNow), View("v", "a", kNow)});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->num_written, 2);
  ASSERT_EQ(result->failures.size(), 1u);
  EXPECT_EQ(result->failures[0].index, 1u);
}

TEST_F(EventsTest, TheSameEventCountsOnceWithinAndAcrossBatches) {
  const Event event = Rating("u", "a", 4, kNow);
  auto result = store_->WriteEvents("shop", {event, event});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->num_written, 1);
  EXPECT_EQ(result->num_duplicates, 1);
  Open();
  result = store_->WriteEvents("shop", {event, Rating("u", "a", 5, kNow)});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->num_written, 1);
  EXPECT_EQ(result->num_duplicates, 1);
  EXPECT_EQ(Stats().events, 2);
  EXPECT_EQ(Stats().users, 1);
  EXPECT_EQ(Context("u").events.size(), 2u);
  // Around the baseline of (4 + 5 + 5 * 3) / 7, at weight 2 a point.
  EXPECT_THAT(Weights(Context("u")),
              UnorderedElementsAre(DoubleEq(2 * (4 - 24.0 / 7)), DoubleEq(2 * (5 - 24.0 / 7))));
}

TEST_F(EventsTest, TheCallersEventIdIsTheIdentity) {
  Event event = View("u", "a", kNow);
  event.event_id = "e1";
  Event changed = View("u", "b", kNow - absl::Hours(1));
  changed.event_id = "e1";
  Event elsewhere = View("v", "a", kNow);
  elsewhere.event_id = "e1";
  const auto result = store_->WriteEvents("shop", {event, changed, elsewhere});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->num_written, 2);
  EXPECT_EQ(result->num_duplicates, 1);
  EXPECT_EQ(Context("u").events[0].event.item_id, "a");
}

TEST_F(EventsTest, ComeNewestFirstWithItemsAndVectors) {
  const int64_t revision = Put(Write("a", "A"));
  Put(Write("b", "B"));
  ASSERT_TRUE(store_
                  ->PutVectors("shop", "a", revision,
                               {Vector("text", "m1", {0, 1}), Vector("image", "m1", {1, 0})})
                  .ok());

  Event full = View("u", "a", kNow - absl::Minutes(3));
  full.session_id = "s";
  full.recommendation_id = "r";
  full.event_id = "e";
  full.value = 2.5;
  ASSERT_TRUE(
      store_
          ->WriteEvents("shop", {full, View("u", "b", kNow - absl::Minutes(1)),
                                 View("u", "gone", kNow - absl::Minutes(2)),
                                 View("u", "a", kNow - absl::Minutes(4)), View("uu", "a", kNow)})
          .ok());

  const UserContext context = Context("u", {.spaces = {"text"}});
  ASSERT_EQ(context.events.size(), 4u);
  EXPECT_EQ(context.events[0].event.item_id, "b");
  EXPECT_EQ(context.events[1].event.item_id, "gone");
  EXPECT_EQ(context.events[1].item_index, -1);

  const ContextEvent& read = context.events[2];
  EXPECT_EQ(read.event.event_id, "e");
  EXPECT_EQ(read.event.session_id, "s");
  EXPECT_EQ(read.event.recommendation_id, "r");
  EXPECT_EQ(read.event.time, full.time);
  EXPECT_THAT(read.event.value, Optional(2.5));
  EXPECT_EQ(context.items.size(), 2u);
  EXPECT_EQ(read.item_index, context.events[3].item_index);

  const ItemWithVectors* item = context.ItemOf(read);
  ASSERT_NE(item, nullptr);
  EXPECT_EQ(item->item.title, "A");
  ASSERT_EQ(item->vectors.size(), 1u);
  EXPECT_THAT(item->vectors[0].values, ElementsAre(0, 1));
  EXPECT_EQ(context.ItemOf(context.events[1]), nullptr);

  EXPECT_EQ(context.catalog.display_name, "A shop");
  EXPECT_THAT(Seen(context), ElementsAre("a", "b"));
  EXPECT_EQ(context.seen.size(), 3u) << "and an item that the catalog does not hold";
}

TEST_F(EventsTest, SpacesThatTheCatalogDoesNotDeclareHaveNoVectorsInContextsAndItems) {
  Catalog catalog = *store_->GetCatalog("shop");
  catalog.spaces = {{"text", "", 0}};
  ASSERT_TRUE(store_->UpdateCatalog(catalog, {FindCatalogField("spaces")}).ok());
  const int64_t revision = Put(Write("a"));
  ASSERT_TRUE(store_->PutVectors("shop", "a", revision, {Vector("text", "m1", {1, 0})}, true).ok());
  ASSERT_TRUE(Record(View("u", "a", kNow)).ok());

  const UserContext context = Context("u", {.spaces = {"text", "image"}});
  ASSERT_EQ(context.items.size(), 1u);
  ASSERT_EQ(context.items[0].vectors.size(), 1u);
  EXPECT_EQ(context.items[0].vectors[0].space.name, "text");
  EXPECT_EQ(Read("a", {.spaces = {"text", "image", "fused"}}).vectors.size(), 1u);
}

TEST_F(EventsTest, AreBoundedByCountAndRequestTime) {
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(Record(View("u", absl::StrCat("i", i), kNow - absl::Minutes(i))).ok());
  EXPECT_EQ(Context("u", {.max_events = 3}).events.size(), 3u);
  EXPECT_TRUE(Context("u", {.max_events = 3}).has_more_events);
  EXPECT_EQ(Context("u", {.max_events = 0}).events.size(), 0u);
  EXPECT_TRUE(Context("u", {.max_events = 0}).has_more_events);
  EXPECT_EQ(Context("u", {.max_events = 10}).events.size(), 10u);
  EXPECT_FALSE(Context("u", {.max_events = 10}).has_more_events);

  const UserContext past = Context("u", {.max_events = 2, .request_time = kNow - absl::Minutes(5)});
  ASSERT_EQ(past.events.size(), 2u);
  EXPECT_EQ(past.events[0].event.item_id, "i5");

  EXPECT_EQ(
      WrongField(
          store_->GetUserContext({.catalog = "shop", .user_id = "u", .max_events = -1}).status()),
      "max_events");
  EXPECT_EQ(
      WrongField(
          store_->GetUserContext({.catalog = "shop", .user_id = "u", .max_events = 5001}).status()),
      "max_events");
}

TEST_F(EventsTest, EqualTopRatingsCountAsLiking) {
  for (int i = 0; i < 6; ++i)
    ASSERT_TRUE(Record(Rating("six", absl::StrCat("a", i), 5, kNow - absl::Minutes(i))).ok());
  ASSERT_TRUE(Record(Rating("one", "a", 5, kNow)).ok());
  const std::vector<double> six = Weights(Context("six"));
  ASSERT_EQ(six.size(), 6u);
  for (const double weight : six) EXPECT_GT(weight, 1);
  EXPECT_GT(Weights(Context("one"))[0], 1);
}

TEST_F(EventsTest, EventAheadOfTheClockCountsAtOnceUnlessAnEarlierTimeIsAsked) {
  ASSERT_TRUE(Record(View("u", "a", kNow - absl::Hours(1))).ok());
  ASSERT_TRUE(Record(View("u", "b", kNow + absl::Hours(2))).ok());
  EXPECT_EQ(Context("u").events.size(), 2u);
  EXPECT_EQ(Context("u", {.request_time = kNow}).events.size(), 1u);
}

TEST_F(EventsTest, RatingsBelowTheUsersOwnMeanWeighNegative) {
  ASSERT_TRUE(store_
                  ->WriteEvents("shop", {Rating("u", "good", 5, kNow),
                                         Rating("u", "bad", 2, kNow - absl::Minutes(1)),
                                         View("u", "seen", kNow - absl::Minutes(2))})
                  .ok());
  Event removal = View("u", "removed", kNow - absl::Minutes(3));
  removal.type = "remove";
  ASSERT_TRUE(Record(removal).ok());
  const UserContext context = Context("u");
  // The baseline is (5 + 2 + 5 * 3) / 7.
  EXPECT_THAT(Weights(context),
              ElementsAre(DoubleEq(2 * (5 - 22.0 / 7)), DoubleEq(2 * (2 - 22.0 / 7)), DoubleEq(1),
                          DoubleEq(-1)));
  for (const char* id : {"bad", "good", "removed", "seen"}) Put(Write(id));
  EXPECT_THAT(Seen(context), ElementsAre("bad", "good", "seen"));
}

TEST_F(EventsTest, ALookIntoThePastKnowsOnlyEarlierRatings) {
  ASSERT_TRUE(store_
                  ->WriteEvents("shop", {Rating("u", "a", 2, kNow - absl::Hours(2)),
                                         Rating("u", "b", 4, kNow - absl::Hours(1)),
                                         Rating("u", "c", 5, kNow)})
                  .ok());
  // The baseline is 3 then, not (11 + 15) / 8.
  EXPECT_THAT(Weights(Context("u", {.request_time = kNow - absl::Minutes(30)})),
              ElementsAre(DoubleEq(2), DoubleEq(-2)));
}

TEST_F(EventsTest, UsersWhoseIdsBeginAlikeAreApart) {
  for (const char* user : {"u", "u1", "u10", "u "})
    ASSERT_TRUE(Record(View(user, absl::StrCat("of ", user), kNow)).ok());
  for (const char* user : {"u", "u1", "u10", "u "}) {
    const UserContext context = Context(user);
    ASSERT_EQ(context.events.size(), 1u);
    EXPECT_EQ(context.events[0].event.item_id, absl::StrCat("of ", user));
    EXPECT_EQ(context.seen.size(), 1u);
  }
}

TEST_F(EventsTest, TheSeenSetIsWholeHoweverManyItems) {
  constexpr int kViews = 20'001;
  std::vector<Event> events;
  for (int i = 0; i < kViews; ++i) {
    events.push_back(View("u", absl::StrCat("a", i), kNow));
    if (events.size() < 1000 && i + 1 < kViews) continue;
    ASSERT_TRUE(store_->WriteEvents("shop", events).ok());
    events.clear();
  }
  ASSERT_TRUE(Record(View("u", "z", kNow)).ok());
  Put(Write("z"));
  for (int round = 0; round < 2; ++round) {
    const UserContext context = Context("u");
    EXPECT_EQ(context.seen.size(), kViews + 1u);
    EXPECT_THAT(Seen(context), ElementsAre("z"));
    Open();
  }
}

TEST_F(EventsTest, TheSeenSetIsLeftOutWhereAsked) {
  ASSERT_TRUE(Record(View("u", "a", kNow)).ok());
  EXPECT_TRUE(Context("u", {.omit_seen = true}).seen.empty());
  EXPECT_EQ(Context("u", {.omit_seen = true}).events.size(), 1u);
}

TEST_F(EventsTest, ALookIntoThePastHasSeenOnlyWhatWasSeenThen) {
  for (const char* id : {"early", "late", "removed"}) Put(Write(id));
  ASSERT_TRUE(Record(View("u", "early", kNow - absl::Hours(2))).ok());
  Event removal = View("u", "removed", kNow - absl::Hours(2));
  removal.type = "remove";
  ASSERT_TRUE(Record(removal).ok());
  ASSERT_TRUE(Record(View("u", "late", kNow)).ok());
  EXPECT_THAT(Seen(Context("u", {.request_time = kNow - absl::Hours(1)})), ElementsAre("early"));
  EXPECT_THAT(Seen(Context("u", {.request_time = kNow - absl::Hours(3)})), IsEmpty());
  EXPECT_THAT(Seen(Context("u", {.request_time = kNow})), ElementsAre("early", "late"));
  EXPECT_THAT(Seen(Context("u")), ElementsAre("early", "late"));
}

TEST_F(EventsTest, AnEventAheadOfTheClockCountsAtOnceWithoutARequestTime) {
  Put(Write("a"));
  ASSERT_TRUE(Record(View("u", "a", kNow + absl::Minutes(1))).ok());
  EXPECT_EQ(Context("u").events.size(), 1u);
  EXPECT_THAT(Seen(Context("u")), ElementsAre("a"));
  EXPECT_THAT(Seen(Context("u", {.request_time = kNow})), IsEmpty());
}

TEST_F(EventsTest, AnItemKeepsItsNumberWhenItIsDeletedAndComesBack) {
  ASSERT_TRUE(Record(View("u", "later", kNow)).ok());
  Put(Write("a"));
  Put(Write("b"));
  Put(Write("later"));
  const uint32_t a = Read("a").item.number;
  const uint32_t b = Read("b").item.number;
  EXPECT_EQ(Read("later").item.number, 1u) << "given with its first event";
  EXPECT_NE(a, b);
  ASSERT_TRUE(store_->DeleteItems("shop", {"a", "b"}).ok());
  Open();
  Put(Write("c"));
  EXPECT_GT(Read("c").item.number, std::max(a, b));
  Put(Write("b", "Another title"));
  EXPECT_EQ(Read("b").item.number, b);
  Put(Write("b", "A third title"));
  EXPECT_EQ(Read("b").item.number, b);
  EXPECT_EQ(store_->ListItems("shop", 0, "")->items.front().item.number, b);
}

TEST_F(EventsTest, ItemsNumberedByManyWritersAtOnceHaveDifferentNumbers) {
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        const std::string id = absl::StrCat("item", i);
        if (t % 2 == 0) {
          EXPECT_TRUE(store_->UpsertItems("shop", {Write(id)}).ok());
        } else {
          EXPECT_TRUE(store_->WriteEvents("shop", {View(absl::StrCat("user", t), id, kNow)}).ok());
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();

  std::set<uint32_t> numbers;
  const auto page = store_->ListItems("shop", 0, "");
  ASSERT_TRUE(page.ok()) << page.status();
  for (const StoredItem& item : page->items) numbers.insert(item.item.number);
  EXPECT_EQ(numbers.size(), 100u);
  EXPECT_EQ(*numbers.begin(), 1u);
  EXPECT_EQ(*numbers.rbegin(), 100u);
  EXPECT_EQ(Seen(Context("user1")).size(), 100u);
}

TEST_F(EventsTest, UnknownAndAnonymousUsersGetAnEmptyContext) {
  Put(Write("a"));
  const UserContext unknown = Context("nobody", {.num_fresh = 5});
  EXPECT_FALSE(unknown.user.has_value());
  EXPECT_THAT(unknown.events, IsEmpty());
  EXPECT_THAT(Ids(unknown.fresh), ElementsAre("a"));
  EXPECT_THAT(Ids(Context("", {.num_fresh = 5}).fresh), ElementsAre("a"));
}

class TrendingTest : public StoreTest {
 protected:
  void SetUp() override {
    OpenWithShop();
    for (const char* id : {"old", "new", "mid"}) Put(Write(id));
  }
  std::vector<std::string> Top(int num = 10, absl::Duration half_life = absl::Hours(24)) {
    return Ids(
        Context("someone", {.num_trending = num}, {.trending_half_life = half_life}).trending);
  }
  void Views(const std::string& item, int count, absl::Time time) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(Record(View(absl::StrCat("user", next_user_++), item, time),
                         {.skip_lateness_bound = true})
                      .ok());
    }
  }
  int next_user_ = 0;
};

TEST_F(TrendingTest, RecentEventsOutweighMoreOldOnes) {
  Views("old", 6, kNow - absl::Hours(24 * 5));
  Views("mid", 3, kNow - absl::Hours(24));
  Views("new", 2, kNow);
  EXPECT_THAT(Top(), ElementsAre("new", "mid", "old"));
  EXPECT_THAT(Top(10, absl::Hours(24 * 365)), ElementsAre("old", "mid", "new"));
  EXPECT_THAT(Top(1), ElementsAre("new"));
  const auto scored =
      Context("someone", {.num_trending = 3}, {.trending_half_life = absl::Hours(24)}).trending;
  EXPECT_NEAR(scored[0].score, 2.0, 1e-6);
  EXPECT_NEAR(scored[1].score, 1.5, 1e-6);
}

TEST_F(TrendingTest, IsMeasuredFromTheNewestEventSoThatOldLogsTrend) {
  const absl::Time nineties = absl::FromUnixSeconds(830'000'000);
  Views("old", 4, nineties - absl::Hours(24 * 10));
  Views("new", 1, nineties);
  EXPECT_THAT(Top(), ElementsAre("new", "old"));
}

TEST_F(TrendingTest, FollowsEventsAsTheyComeAndSurvivesReopening) {
  Views("old", 2, kNow - absl::Hours(1));
  EXPECT_THAT(Top(), ElementsAre("old"));
  Views("new", 3, kNow);
  EXPECT_THAT(Top(), ElementsAre("new", "old"));
  Open();
  EXPECT_THAT(Top(), ElementsAre("new", "old"));
  Views("mid", 9, kNow + absl::Hours(20));
  EXPECT_THAT(Top(), ElementsAre("mid", "new", "old"));
}

TEST_F(TrendingTest, HiddenExpiredAndDeletedItemsLeaveAtOnce) {
  Views("old", 3, kNow);
  Views("mid", 2, kNow);
  Views("new", 1, kNow);
  Views("never stored", 5, kNow);
  EXPECT_THAT(Top(), ElementsAre("old", "mid", "new"));

  ItemWrite hide = Write("old");
  hide.item.hidden = true;
  Put(hide);
  EXPECT_THAT(Top(), ElementsAre("mid", "new"));

  ItemWrite expire = Write("mid");
  expire.item.expire_time = kNow + absl::Minutes(1);
  Put(expire);
  EXPECT_THAT(Top(), ElementsAre("mid", "new"));
  clock_->Advance(absl::Minutes(1));
  EXPECT_THAT(Top(), ElementsAre("new"));

  ASSERT_TRUE(store_->DeleteItems("shop", {"new"}).ok());
  EXPECT_THAT(Top(), IsEmpty());

  clock_->Advance(absl::Hours(1));
  hide.item.hidden = false;
  Put(hide);
  EXPECT_THAT(Top(), ElementsAre("old"));
}

TEST_F(TrendingTest, HoldsALastingItemWhenAllThatLeadItExpire) {
  for (int i = 0; i < 130; ++i) {
    ItemWrite deal = Write(absl::StrCat("deal-", i));
    deal.item.expire_time = kNow + absl::Minutes(1);
    Put(deal);
    Views(deal.item.id, 2, kNow);
  }
  Views("new", 1, kNow);
  EXPECT_EQ(Top(200).size(), 131u);
  clock_->Advance(absl::Minutes(1));
  EXPECT_THAT(Top(200), ElementsAre("new"));
  EXPECT_THAT(Top(1), ElementsAre("new"));
}

TEST_F(TrendingTest, FillsItsHeadAnewWhenDeletedAndUnknownItemsLeadIt) {
  // More of them than a head holds.
  std::vector<Event> events;
  for (int i = 0; i < 9000; ++i) {
    Event event = View(absl::StrCat("user", i % 7), absl::StrCat("gone-", i), kNow);
    event.event_id = absl::StrCat("first-", i);
    events.push_back(event);
    event.event_id = absl::StrCat("second-", i);
    events.push_back(event);
  }
  for (size_t begin = 0; begin < events.size(); begin += 9000) {
    const std::vector<Event> part(events.begin() + begin, events.begin() + begin + 9000);
    ASSERT_TRUE(store_->WriteEvents("shop", part).ok());
  }
  Views("new", 1, kNow);
  EXPECT_THAT(Top(), ElementsAre("new"));

  // An item that was passed over comes back when it is stored.
  Put(Write("gone-4321"));
  EXPECT_THAT(Top(), ElementsAre("gone-4321", "new"));
  ASSERT_TRUE(store_->DeleteItems("shop", {"gone-4321"}).ok());
  EXPECT_THAT(Top(), ElementsAre("new"));
}

TEST_F(TrendingTest, CountsEveryEventOnceWhenItsBoardIsMadeBesideWriters) {
  std::atomic<bool> failed{false};
  std::vector<std::thread> writers;
  for (int w = 0; w < 3; ++w) {
    writers.emplace_back([&, w] {
      for (int i = 0; i < 200; ++i) {
        const Event event =
            View(absl::StrCat("user-", w, "-", i), i % 3 == 0 ? "old" : "new", kNow);
        if (!store_->WriteEvents("shop", {event}).ok()) failed = true;
      }
    });
  }
  // Boards of many half-lives: made, dropped and made again all the time.
  for (int round = 0; round < 10; ++round) {
    for (int hours = 1; hours <= 6; ++hours) Top(10, absl::Hours(hours));
  }
  for (std::thread& writer : writers) writer.join();
  ASSERT_FALSE(failed);

  for (int hours = 1; hours <= 6; ++hours) {
    const auto top =
        Context("someone", {.num_trending = 3}, {.trending_half_life = absl::Hours(hours)})
            .trending;
    ASSERT_EQ(top.size(), 2u);
    EXPECT_NEAR(top[0].score, 3 * 133, 1e-6) << hours;
    EXPECT_NEAR(top[1].score, 3 * 67, 1e-6) << hours;
  }
}

TEST_F(TrendingTest, KeepsItsOrderOverThousandsOfHalfLives) {
  Views("old", 2, kNow);
  Views("mid", 1, kNow);
  EXPECT_THAT(Top(10, absl::Hours(1)), ElementsAre("old", "mid"));
  for (int step = 1; step <= 3; ++step) {
    clock_->Advance(absl::Hours(700));
    Views("new", 1, clock_->Now());
    EXPECT_THAT(Top(1, absl::Hours(1)), ElementsAre("new"));
  }
  Views("mid", 3, clock_->Now());
  EXPECT_THAT(Top(2, absl::Hours(1)), ElementsAre("mid", "new"));
}

TEST_F(TrendingTest, TiesAreBrokenByItemId) {
  for (const char* id : {"new", "old", "mid"}) Views(id, 1, kNow);
  EXPECT_THAT(Top(), ElementsAre("mid", "new", "old"));
}

TEST_F(TrendingTest, ManyHalfLivesTakeTurns) {
  Views("old", 1, kNow);
  for (int round = 0; round < 2; ++round) {
    for (int hours = 1; hours < 10; ++hours)
      EXPECT_THAT(Top(10, absl::Hours(hours)), ElementsAre("old"));
  }
  EXPECT_EQ(WrongField(store_
                           ->GetUserContext({.catalog = "shop", .user_id = "u"},
                                            {.trending_half_life = absl::Minutes(1)})
                           .status()),
            "trending_half_life");
}

TEST_F(TrendingTest, FreshItemsComeNewestFirstWithoutHiddenExpiredAndFutureOnes) {
  const auto put = [&](const std::string& id, absl::Duration age, bool hidden,
                       std::optional<absl::Duration> expiry) {
    ItemWrite write = Write(id);
    write.item.create_time = kNow - age;
    write.item.hidden = hidden;
    if (expiry.has_value()) write.item.expire_time = kNow + *expiry;
    Put(write);
  };

  ASSERT_TRUE(store_->DeleteItems("shop", {"old", "new", "mid"}).ok());
  put("a", absl::Hours(3), false, std::nullopt);
  put("b", absl::Hours(1), false, absl::Hours(1));
  put("c", absl::Hours(2), false, std::nullopt);
  put("hidden", absl::Hours(1), true, std::nullopt);
  put("expired", absl::Hours(1), false, absl::ZeroDuration());
  put("future", -absl::Hours(1), false, std::nullopt);

  const auto fresh = [&](int num) { return Ids(Context("someone", {.num_fresh = num}).fresh); };
  EXPECT_THAT(fresh(10), ElementsAre("b", "c", "a"));
  EXPECT_THAT(fresh(2), ElementsAre("b", "c"));

  put("a", absl::Minutes(1), false, std::nullopt);
  EXPECT_THAT(fresh(10), ElementsAre("a", "b", "c"));

  clock_->Advance(absl::Hours(1));
  EXPECT_THAT(fresh(10), ElementsAre("future", "a", "c"));
}

TEST_F(TrendingTest, ExpiredItemsAreWalkedOverOnceForTheFreshOnesAndFoundWhenTheyComeBack) {
  constexpr int kDeals = 3000;
  const auto deal = [](int i, absl::Duration expiry) {
    ItemWrite write = Write(absl::StrCat("deal-", i));
    write.item.create_time = kNow - absl::Minutes(10);
    write.item.expire_time = kNow + expiry;
    return write;
  };
  ItemWrite lasting = Write("lasting");
  lasting.item.create_time = kNow - absl::Hours(1);
  ASSERT_TRUE(store_->DeleteItems("shop", {"old", "new", "mid"}).ok());
  Put(lasting);
  for (int begin = 0; begin < kDeals; begin += 1000) {
    std::vector<ItemWrite> writes;
    for (int i = begin; i < begin + 1000; ++i) writes.push_back(deal(i, absl::Minutes(1)));
    ASSERT_TRUE(store_->UpsertItems("shop", writes).ok());
  }

  const auto rows_passed = [&] {
    rocksdb::get_perf_context()->Reset();
    EXPECT_THAT(Ids(Context("someone", {.num_fresh = 5}).fresh), ElementsAre("lasting"));
    return rocksdb::get_perf_context()->internal_key_skipped_count;
  };
  clock_->Advance(absl::Minutes(2));
  EXPECT_GE(rows_passed(), uint64_t{kDeals});
  EXPECT_LT(rows_passed(), 100u);

  Put(deal(1234, absl::Hours(1)));
  EXPECT_THAT(Ids(Context("someone", {.num_fresh = 5}).fresh), ElementsAre("deal-1234", "lasting"));
  EXPECT_EQ(Context("someone", {.request_time = kNow, .num_fresh = 500}).fresh.size(), 500u)
      << "of a time when they had not expired";
  clock_->Advance(absl::Hours(1));
  EXPECT_LT(rows_passed(), 100u);
}

class UsersTest : public StoreTest {
 protected:
  void SetUp() override { OpenWithShop(); }
};

TEST_F(UsersTest, AreReadAsTheyWereWritten) {
  User user;
  user.id = "u";
  user.profile_text = "Likes walnut.";
  user.persona = "minimalist";
  user.attributes = {{"age", int64_t{30}}};

  const std::string token = Token();
  ASSERT_THAT(*store_->UpsertUsers("shop", {user}), IsEmpty());
  const std::vector<Change> changes = Changes(token);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].kind, ChangeKind::kUserChanged);
  EXPECT_EQ(changes[0].key, UserFeedKey("shop", "u"));

  clock_->Advance(absl::Hours(1));
  ASSERT_THAT(*store_->UpsertUsers("shop", {user}), IsEmpty());
  EXPECT_EQ(Changes(token).size(), 1u);

  Open();
  const auto read = store_->GetUser("shop", "u");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->profile_text, user.profile_text);
  EXPECT_EQ(read->persona, user.persona);
  EXPECT_EQ(read->attributes, user.attributes);
  EXPECT_EQ(read->update_time, kNow);
  EXPECT_EQ(Context("u").user->persona, "minimalist");
  EXPECT_EQ(Stats().users, 1);

  ASSERT_TRUE(Record(View("u", "a", kNow)).ok());
  EXPECT_EQ(Stats().users, 1);
  EXPECT_EQ(store_->GetUser("shop", "v").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(UsersTest, OneBadProfileFailsAlone) {
  User good;
  good.id = "good";
  User bad;
  bad.id = "bad";
  bad.profile_text = std::string((64 << 10) + 1, 'x');
  const auto failures = store_->UpsertUsers("shop", {bad, good});
  ASSERT_TRUE(failures.ok());
  ASSERT_EQ(failures->size(), 1u);
  EXPECT_EQ(WrongField((*failures)[0].status), "profile_text");
  EXPECT_TRUE(store_->GetUser("shop", "good").ok());
}

TEST_F(UsersTest, ImpressionsComeNewestFirst) {
  Impression impression{.recommendation_id = "r1",
                        .user_id = "u",
                        .scenario = "home",
                        .item_ids = {"a", "b"},
                        .time = kNow};
  ASSERT_TRUE(store_->WriteImpression("shop", impression).ok());
  impression.recommendation_id = "r2";
  impression.time = kNow + absl::Seconds(1);
  ASSERT_TRUE(store_->WriteImpression("shop", impression).ok());
  const auto read = store_->ListImpressions("shop", "u", 10);
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[0].recommendation_id, "r2");
  EXPECT_EQ((*read)[1].scenario, "home");
  EXPECT_THAT((*read)[1].item_ids, ElementsAre("a", "b"));
  impression.item_ids.clear();
  EXPECT_EQ(WrongField(store_->WriteImpression("shop", impression)), "item_ids");
}

}  // namespace
}  // namespace palate::featurestore
