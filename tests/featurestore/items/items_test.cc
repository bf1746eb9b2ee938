#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/featurestore/store_fixture.h"

namespace palate::featurestore {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ItemsTest : public StoreTest {
 protected:
  void SetUp() override { OpenWithShop(); }

  // The field that a write is refused for.
  std::string Refused(const std::function<void(ItemWrite&)>& change) {
    ItemWrite write = Write("a");
    change(write);
    const absl::Status status = TryPut(write);
    return status.ok() ? "accepted" : WrongField(status);
  }
};

TEST_F(ItemsTest, AreReadAsTheyWereWritten) {
  ItemWrite write = Write("a", "Toy Story (1995)");
  write.item.description = "A cowboy doll is threatened.";
  write.item.attributes = {{"genre", std::vector<std::string>{"Adventure", "Animation"}},
                           {"brand", std::string("Pixar")},
                           {"year", int64_t{1995}},
                           {"price", 9.5},
                           {"new", false}};
  write.item.hidden = true;
  write.item.create_time = kNow - absl::Hours(5);
  write.item.expire_time = kNow + absl::Hours(5);
  write.images = {{Png(3, 2), ""}};
  const int64_t revision = Put(write);

  Open();

  const StoredItem stored = Read("a", {.image_bytes = true});
  EXPECT_EQ(stored.item.title, write.item.title);
  EXPECT_EQ(stored.item.description, write.item.description);
  EXPECT_EQ(stored.item.attributes, write.item.attributes);
  EXPECT_TRUE(stored.item.hidden);
  EXPECT_EQ(stored.item.create_time, write.item.create_time);
  EXPECT_EQ(stored.item.expire_time, write.item.expire_time);
  EXPECT_EQ(stored.item.revision, revision);
  ASSERT_EQ(stored.item.images.size(), 1u);
  EXPECT_EQ(stored.item.images[0].sha256, Sha256(Png(3, 2)));
  EXPECT_EQ(stored.item.images[0].media_type, "image/png");
  EXPECT_EQ(stored.item.images[0].width, 3);
  EXPECT_EQ(stored.item.images[0].height, 2);
  EXPECT_THAT(stored.image_bytes, ElementsAre(Png(3, 2)));
  EXPECT_EQ(Stats().items, 1);
}

TEST_F(ItemsTest, RefuseWrongFieldsNamingThem) {
  EXPECT_EQ(Refused([](ItemWrite& w) { w.item.id = ""; }), "item.id");
  EXPECT_EQ(Refused([](ItemWrite& w) { w.item.id = std::string(257, 'a'); }), "item.id");
  EXPECT_EQ(Refused([](ItemWrite& w) { w.item.id = "a\n"; }), "item.id");
  EXPECT_EQ(Refused([](ItemWrite& w) { w.item.id = "a\xc2\x85"; }), "item.id");
  EXPECT_EQ(Refused([](ItemWrite& w) { w.item.id = "\xff"; }), "item.id");

  EXPECT_EQ(Refused([](ItemWrite& w) { w.item.title = std::string(1025, 'a'); }), "item.title");
  EXPECT_EQ(Refused([](ItemWrite& w) { w.item.title = "\xc3"; }), "item.title");
  EXPECT_EQ(Refused([](ItemWrite& w) { w.item.description = std::string((64 << 10) + 1, 'a'); }),
            "item.description");
  EXPECT_EQ(Refused([](ItemWrite& w) {
              w.item.attributes = {{"colour", std::string("red")}};
            }),
            "item.attributes[\"colour\"]");
  EXPECT_EQ(Refused([](ItemWrite& w) {
              w.item.attributes = {{"year", std::string("1995")}};
            }),
            "item.attributes[\"year\"]");
  EXPECT_EQ(Refused([](ItemWrite& w) {
              w.item.attributes = {{"price", std::numeric_limits<double>::quiet_NaN()}};
            }),
            "item.attributes[\"price\"]");
  EXPECT_EQ(Refused([](ItemWrite& w) {
              w.item.attributes = {{"genre", std::vector<std::string>{"ok", "\xff"}}};
            }),
            "item.attributes[\"genre\"][1]");
  EXPECT_EQ(Refused([](ItemWrite& w) { w.item.create_time = kNow - absl::Hours(24 * 365 * 60); }),
            "item.create_time");
  EXPECT_EQ(Refused([](ItemWrite& w) { w.item.expire_time = absl::InfiniteFuture(); }),
            "item.expire_time");
  EXPECT_EQ(Refused([](ItemWrite& w) { w.update_mask = {{"colour"}}; }), "update_mask[0]");

  EXPECT_FALSE(Exists("a"));
}

TEST_F(ItemsTest, RefuseTooManyPicturesAndDigestsThatAreNone) {
  EXPECT_EQ(Refused([](ItemWrite& w) { w.images.assign(9, {Png(1, 1), ""}); }), "item.images");
  EXPECT_EQ(Refused([](ItemWrite& w) { w.images = {{"", "short"}}; }), "item.images[0].sha256");
  EXPECT_EQ(Refused([](ItemWrite& w) {
              w.images = {{"GIF89a", ""}, {"", std::string(32, 'x')}};
            }),
            "item.images[1].sha256");
}

TEST_F(ItemsTest, AreStoredWithoutABadPictureWhichIsNamed) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"GIF89a", "is neither JPEG, PNG nor WebP"},
      {"<html><body>404</body></html>", "is neither JPEG, PNG nor WebP"},
      {"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "is neither JPEG, PNG nor WebP"},
      {"", "is empty"},
      {std::string(1000, '\0'), "is neither JPEG, PNG nor WebP"},
      {"\xff\xd8\xff\xe0", "is JPEG is truncated"},
      {"RIFF\x10", "is neither JPEG, PNG nor WebP"},
      {Png(8, 8).substr(0, 40), "is PNG is truncated"},
      {Png(50000, 50000), "declares 50000 x 50000 pixels; must be at most 40000000 pixels"},
      {Png(10000, 5000), "declares 10000 x 5000 pixels"},
      {Png(8, 8, std::string(17 << 20, 'x')), "bytes; must be at most 16777216"}};
  for (const auto& [picture, reason] : bad) {
    ItemWrite write = Write("a");
    write.images = {{Png(1, 1), ""}, {picture, ""}, {Png(2, 2), ""}};
    const auto result = store_->UpsertItems("shop", {Write("other"), write});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_TRUE(result->failures.empty());
    ASSERT_EQ(result->part_failures.size(), 1u) << reason;
    EXPECT_EQ(result->part_failures[0].index, 1u);
    EXPECT_EQ(FieldViolations(result->part_failures[0].status)[0].field, "item.images[1]");

    const StoredItem stored = Read("a");
    ASSERT_EQ(stored.item.images.size(), 2u);
    EXPECT_EQ(stored.item.images[1].width, 2) << "the good pictures count";
    ASSERT_EQ(stored.failed_parts.size(), 1u);
    EXPECT_EQ(stored.failed_parts[0].part, "images[1]");
    EXPECT_THAT(Describe(stored.failed_parts[0]), HasSubstr(reason));
    EXPECT_EQ(store_->GetStats()->catalogs[0].items_with_failed_parts, 1);

    const auto again = store_->UpsertItems("shop", {write});
    EXPECT_EQ(again->num_changed, 0);
    EXPECT_EQ(again->part_failures.size(), 1u) << "said again";
  }
}

TEST_F(ItemsTest, ListTheFailingOnesInPages) {
  for (const char* id : {"a", "b", "c", "d"}) {
    ItemWrite write = Write(id);
    if (id[0] != 'b') write.images = {{"GIF89a", ""}};
    ASSERT_TRUE(store_->UpsertItems("shop", {write}).ok());
  }
  ItemWrite only_a_picture = Write("e", "");
  only_a_picture.images = {{"GIF89a", ""}};
  ASSERT_TRUE(store_->UpsertItems("shop", {only_a_picture}).ok());
  EXPECT_EQ(store_->GetEmbeddingStatus("shop", "e")->state, EmbeddingState::kNothingToEmbed);

  std::vector<std::string> ids;
  std::string token;
  do {
    const auto page = store_->ListItems("shop", 2, token, {.only_failing = true});
    ASSERT_TRUE(page.ok()) << page.status();
    for (const StoredItem& item : page->items) {
      ids.push_back(item.item.id);
      EXPECT_EQ(item.failed_parts.size(), 1u);
    }
    token = page->next_page_token;
  } while (!token.empty());
  EXPECT_THAT(ids, ElementsAre("a", "c", "d", "e"));

  Open();
  EXPECT_EQ(store_->GetStats()->catalogs[0].items_with_failed_parts, 4);
  ASSERT_TRUE(store_->DeleteItems("shop", {"a", "c", "e"}).ok());
  ItemWrite no_pictures = Write("d");
  no_pictures.update_mask = {{"images"}};
  Put(no_pictures);
  EXPECT_EQ(store_->GetStats()->catalogs[0].items_with_failed_parts, 0);
  EXPECT_TRUE(store_->ListItems("shop", 2, "", {.only_failing = true})->items.empty());
}

TEST_F(ItemsTest, OneBadElementFailsAlone) {
  ItemWrite bad = Write("b");
  bad.item.title = "\xff";
  const auto result = store_->UpsertItems("shop", {Write("a"), bad, Write("c")});
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->failures.size(), 1u);
  EXPECT_EQ(result->failures[0].index, 1u);
  EXPECT_EQ(WrongField(result->failures[0].status), "item.title");
  EXPECT_EQ(result->num_changed, 2);
  EXPECT_EQ(result->revisions[1], 0);
  EXPECT_TRUE(Exists("a"));
  EXPECT_FALSE(Exists("b"));
  EXPECT_TRUE(Exists("c"));
}

TEST_F(ItemsTest, EmptyAndOverlongBatchesAreRefusedAsAWhole) {
  EXPECT_EQ(WrongField(store_->UpsertItems("shop", {}).status()), "items");
  EXPECT_EQ(WrongField(store_->UpsertItems("shop", std::vector<ItemWrite>(1001)).status()),
            "items");
  EXPECT_EQ(WrongField(store_->GetItems("shop", {}).status()), "item_ids");
  EXPECT_EQ(WrongField(store_->DeleteItems("shop", {}).status()), "item_ids");
}

TEST_F(ItemsTest, WritingTheSameAgainIsNoChange) {
  ItemWrite write = Write("a");
  write.images = {{Png(3, 2), ""}};
  write.item.create_time = kNow + absl::Nanoseconds(1234567);
  const int64_t revision = Put(write);
  const std::string token = Token();
  clock_->Advance(absl::Hours(1));
  const auto again = store_->UpsertItems("shop", {write, write});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->num_changed, 0);
  EXPECT_THAT(again->revisions, ElementsAre(revision, revision));
  EXPECT_TRUE(Changes(token).empty());
}

TEST_F(ItemsTest, RevisionsGrowAlsoOverDeletion) {
  const int64_t first = Put(Write("a", "one"));
  const int64_t second = Put(Write("a", "two"));
  EXPECT_GT(second, first);
  ASSERT_TRUE(store_->DeleteItems("shop", {"a"}).ok());
  EXPECT_GT(Put(Write("a", "two")), second);
}

TEST_F(ItemsTest, ExpectedRevisionGuardsAgainstLostUpdates) {
  ItemWrite write = Write("a", "one");
  write.expected_revision = 5;
  EXPECT_EQ(TryPut(write).code(), absl::StatusCode::kAborted);
  write.expected_revision = 0;
  const int64_t revision = Put(write);
  write.item.title = "two";
  EXPECT_EQ(TryPut(write).code(), absl::StatusCode::kAborted);
  write.expected_revision = revision;
  EXPECT_TRUE(TryPut(write).ok());
  EXPECT_EQ(Read("a").item.title, "two");
}

TEST_F(ItemsTest, MaskedUpdateChangesOnlyWhatItNames) {
  ItemWrite write = Write("a", "one");
  write.item.description = "kept";
  write.item.attributes = {{"brand", std::string("b")}, {"year", int64_t{1}}};
  write.images = {{Png(3, 2), ""}};
  Put(write);

  ItemWrite update;
  update.item.id = "a";
  update.item.title = "two";
  update.item.attributes = {{"brand", std::string("c")}};
  update.update_mask = {{"title", "attributes.brand", "attributes.year"}};
  Put(update);

  const StoredItem stored = Read("a", {.image_bytes = true});
  EXPECT_EQ(stored.item.title, "two");
  EXPECT_EQ(stored.item.description, "kept");
  EXPECT_EQ(stored.item.attributes, (Attributes{{"brand", std::string("c")}}));
  EXPECT_EQ(stored.image_bytes.size(), 1u);

  update.item.id = "unknown";
  EXPECT_EQ(TryPut(update).code(), absl::StatusCode::kNotFound);
}

TEST_F(ItemsTest, CreateTimeDefaultsToNowAndStays) {
  Put(Write("a", "one"));
  clock_->Advance(absl::Hours(1));
  Put(Write("a", "two"));
  EXPECT_EQ(Read("a").item.create_time, kNow);
}

TEST_F(ItemsTest, CreateTimeOfTheEpochIsKeptAsATime) {
  ItemWrite write = Write("a", "Casablanca (1942)");
  write.item.create_time = absl::UnixEpoch();
  Put(write);
  EXPECT_EQ(Read("a").item.create_time, absl::UnixEpoch());

  write.item.create_time.reset();
  write.item.title = "Casablanca";
  Put(write);
  EXPECT_EQ(Read("a").item.create_time, absl::UnixEpoch());
}

TEST_F(ItemsTest, OneIdTwiceInABatchAppliesInOrder) {
  ItemWrite second = Write("a", "two");
  second.images = {{Png(2, 2), ""}};
  ItemWrite first = Write("a", "one");
  first.images = {{Png(1, 1), ""}};
  const std::string token = Token();
  const auto result = store_->UpsertItems("shop", {first, second});
  ASSERT_TRUE(result.ok());
  EXPECT_LT(result->revisions[0], result->revisions[1]);
  const StoredItem stored = Read("a", {.image_bytes = true});
  EXPECT_EQ(stored.item.title, "two");
  EXPECT_EQ(stored.item.revision, result->revisions[1]);
  EXPECT_THAT(stored.image_bytes, ElementsAre(Png(2, 2)));
  EXPECT_EQ(Stats().items, 1);
  EXPECT_EQ(Stats().embedding_backlog, 1);
  EXPECT_THAT(Keys(Changes(token)), ElementsAre("a", "a"));
}

TEST_F(ItemsTest, PicturesAreSharedByDigestAndGoWithTheLastItem) {
  const std::string png = Png(5, 5);
  ItemWrite a = Write("a");
  a.images = {{png, ""}};
  Put(a);
  ItemWrite b = Write("b");
  b.images = {{"", Sha256(png)}};
  Put(b);
  EXPECT_THAT(Read("b", {.image_bytes = true}).image_bytes, ElementsAre(png));

  ASSERT_TRUE(store_->DeleteItems("shop", {"a"}).ok());
  EXPECT_THAT(Read("b", {.image_bytes = true}).image_bytes, ElementsAre(png));

  b.images.clear();
  Put(b);
  ItemWrite c = Write("c");
  c.images = {{"", Sha256(png)}};
  EXPECT_EQ(WrongField(TryPut(c)), "item.images[0].sha256");

  c.images = {{png, ""}};
  Put(c);
  EXPECT_THAT(Read("c", {.image_bytes = true}).image_bytes, ElementsAre(png));
}

TEST_F(ItemsTest, LargePicturesComeBackWholeAfterReopening) {
  const std::string png = Png(1000, 1000, std::string(3 << 20, 'p'));
  ItemWrite write = Write("a");
  write.images = {{png, ""}};
  Put(write);
  Open();
  EXPECT_THAT(Read("a", {.image_bytes = true}).image_bytes, ElementsAre(png));
}

TEST_F(ItemsTest, AnAnswerHoldsABoundedAmountOfPictures) {
  StoreOptions options = Options();
  options.limits.max_read_image_bytes = 3 << 20;
  Open(options);
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i) {
    ids.push_back(absl::StrCat("item", i));
    ItemWrite write = Write(ids.back());
    write.images = {{Png(10, 10, std::string(1 << 20, static_cast<char>('a' + i))), ""}};
    Put(write);
  }

  const auto read = store_->GetItems("shop", ids, {.image_bytes = true});
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->failures.size(), 2u);
  EXPECT_EQ(read->failures[0].status.code(), absl::StatusCode::kResourceExhausted);

  const auto page = store_->ListItems("shop", 0, "", {.image_bytes = true});
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->items.size(), 2u);
  EXPECT_EQ(
      store_->ListItems("shop", 0, page->next_page_token, {.image_bytes = true})->items.size(), 2u);
}

TEST_F(ItemsTest, DeletionReportsUnknownIdsAndRemovesTheRest) {
  Put(Write("a"));
  const std::string token = Token();
  const auto failures = store_->DeleteItems("shop", {"x", "a", "a", ""});
  ASSERT_TRUE(failures.ok());
  ASSERT_EQ(failures->size(), 3u);
  EXPECT_EQ((*failures)[0].index, 0u);
  EXPECT_EQ((*failures)[0].status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ((*failures)[1].index, 2u);
  EXPECT_EQ((*failures)[2].status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(Exists("a"));
  EXPECT_EQ(Stats().items, 0);
  EXPECT_EQ(Stats().embedding_backlog, 0);
  const std::vector<Change> changes = Changes(token);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].kind, ChangeKind::kItemDeleted);
}

TEST_F(ItemsTest, GetAnswersInRequestOrderAndNamesUnknownIds) {
  Put(Write("a"));
  Put(Write("b"));
  const auto read = store_->GetItems("shop", {"b", "x", "a", "b"});
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->items[0]->item.id, "b");
  EXPECT_FALSE(read->items[1].has_value());
  EXPECT_EQ(read->items[2]->item.id, "a");
  EXPECT_EQ(read->items[3]->item.id, "b");
  ASSERT_EQ(read->failures.size(), 1u);
  EXPECT_EQ(read->failures[0].index, 1u);
  EXPECT_EQ(read->failures[0].status.code(), absl::StatusCode::kNotFound);
}

TEST_F(ItemsTest, ListGoesThroughAllInPages) {
  std::vector<std::string> expected;
  for (int i = 0; i < 25; ++i) {
    expected.push_back(absl::StrCat("item", 10 + i));
    Put(Write(expected.back()));
  }
  std::vector<std::string> listed;
  std::string token;
  do {
    const auto page = store_->ListItems("shop", 7, token);
    ASSERT_TRUE(page.ok());
    EXPECT_LE(page->items.size(), 7u);
    for (const StoredItem& item : page->items) listed.push_back(item.item.id);
    token = page->next_page_token;
  } while (!token.empty());
  EXPECT_EQ(listed, expected);
}

TEST_F(ItemsTest, UnknownSpacesAreRefused) {
  Put(Write("a"));
  EXPECT_EQ(WrongField(store_->GetItems("shop", {"a"}, {.spaces = {"text", "audio"}}).status()),
            "spaces[1]");
}

}  // namespace
}  // namespace palate::featurestore
