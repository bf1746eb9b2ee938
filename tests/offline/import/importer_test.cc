#include "offline/import/importer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/fakes/fake_offline_client.h"
#include "tests/temp_folder.h"

namespace palate::offline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class ListReader final : public ItemReader {
 public:
  explicit ListReader(int count) : count_(count) {}
  absl::StatusOr<std::optional<ItemUpload>> Next() override {
    if (next_ >= count_) return std::nullopt;
    ItemUpload upload;
    upload.item.id = absl::StrCat("item", next_++);
    upload.item.attributes["price"] = int64_t{3};
    upload.images = {std::string(100, 'x')};
    return upload;
  }
  int64_t size() const override { return count_; }

 private:
  const int count_;
  int next_ = 0;
};

class EventList final : public EventReader {
 public:
  explicit EventList(int count) : count_(count) {}
  absl::StatusOr<std::optional<Event>> Next() override {
    if (next_ >= count_) return std::nullopt;
    Event event;
    event.user_id = absl::StrCat("user", next_++);
    return event;
  }
  int64_t size() const override { return count_; }

 private:
  const int count_;
  int next_ = 0;
};

class ImporterTest : public ::testing::Test {
 protected:
  ImporterTest() {
    options_.catalog = "shop";
    options_.source_name = "test";
    options_.max_batch_items = 4;
    options_.max_batch_events = 4;
    options_.checkpoint_path = folder_.file("checkpoint");
    catalog_.id = "shop";
    catalog_.attributes = {{"price", AttributeType::kDouble, true}};
  }

  static void Ignore(int64_t, int64_t) {}

  TempFolder folder_;
  FakeClient client_;
  ImportOptions options_;
  Catalog catalog_;
};

TEST_F(ImporterTest, SendsEveryItemOnceInBoundedBatches) {
  Importer importer(client_, options_);
  ListReader reader(10);
  ImportOutcome outcome;
  ASSERT_TRUE(importer.SendItems(reader, catalog_, outcome, Ignore).ok());
  EXPECT_THAT(client_.batch_sizes, ElementsAre(4, 4, 2));
  ASSERT_THAT(client_.items, SizeIs(10));
  EXPECT_EQ(client_.items[9].item.id, "item9");
  EXPECT_EQ(outcome.items.changed, 10);
}

TEST_F(ImporterTest, KeepsBatchesWithinTheByteBudget) {
  options_.max_batch_bytes = 800;
  Importer importer(client_, options_);
  ListReader reader(5);
  ImportOutcome outcome;
  ASSERT_TRUE(importer.SendItems(reader, catalog_, outcome, Ignore).ok());
  EXPECT_THAT(client_.batch_sizes, ElementsAre(2, 2, 1));
}

TEST_F(ImporterTest, GoesOnWhereAnInterruptedImportStopped) {
  client_.calls_until_failure = 2;
  {
    Importer importer(client_, options_);
    ListReader reader(10);
    ImportOutcome outcome;
    EXPECT_TRUE(absl::IsUnavailable(importer.SendItems(reader, catalog_, outcome, Ignore)));
  }

  client_.calls_until_failure = 100;
  Importer importer(client_, options_);
  ListReader reader(10);
  ImportOutcome outcome;

  ASSERT_TRUE(importer.SendItems(reader, catalog_, outcome, Ignore).ok());
  EXPECT_EQ(outcome.resumed_items, 8);
  ASSERT_THAT(client_.items, SizeIs(10));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(client_.items[i].item.id, absl::StrCat("item", i));
}

TEST_F(ImporterTest, ResumesEachStepOfTheEventsAlone) {
  client_.calls_until_failure = 2;
  {
    Importer importer(client_, options_);
    EventList first(4);
    EventList second(8);
    ImportOutcome outcome;
    ASSERT_TRUE(importer.SendEvents("first", first, outcome, Ignore).ok());
    EXPECT_FALSE(importer.SendEvents("second", second, outcome, Ignore).ok());
  }

  client_.calls_until_failure = 100;
  Importer importer(client_, options_);
  EventList first(4);
  EventList second(8);
  ImportOutcome outcome;

  ASSERT_TRUE(importer.SendEvents("first", first, outcome, Ignore).ok());
  ASSERT_TRUE(importer.SendEvents("second", second, outcome, Ignore).ok());
  EXPECT_EQ(outcome.resumed_events, 8);
  EXPECT_THAT(client_.events, SizeIs(12));
}

TEST_F(ImporterTest, StartsAnewAfterACompleteImportAndWithAnotherSource) {
  {
    Importer importer(client_, options_);
    ListReader reader(4);
    ImportOutcome outcome;
    ASSERT_TRUE(importer.SendItems(reader, catalog_, outcome, Ignore).ok());
  }

  options_.source_name = "other";
  {
    Importer importer(client_, options_);
    ListReader reader(4);
    ImportOutcome outcome;
    ASSERT_TRUE(importer.SendItems(reader, catalog_, outcome, Ignore).ok());
    EXPECT_EQ(outcome.resumed_items, 0);
    importer.Finish();
  }
  EXPECT_FALSE(std::filesystem::exists(options_.checkpoint_path));
}

TEST_F(ImporterTest, IgnoresADamagedCheckpoint) {
  std::ofstream(options_.checkpoint_path) << "{\"source\": \"test\", \"catalog\": 3";
  Importer importer(client_, options_);
  ListReader reader(4);
  ImportOutcome outcome;
  ASSERT_TRUE(importer.SendItems(reader, catalog_, outcome, Ignore).ok());
  EXPECT_THAT(client_.items, SizeIs(4));
}

TEST_F(ImporterTest, TurnsIntegersIntoDeclaredDoubles) {
  Importer importer(client_, options_);
  ListReader reader(1);
  ImportOutcome outcome;
  ASSERT_TRUE(importer.SendItems(reader, catalog_, outcome, Ignore).ok());
  EXPECT_EQ(client_.items[0].item.attributes.at("price"), AttributeValue(3.0));
}

TEST_F(ImporterTest, RefusesACatalogThatDeclaresTooLittle) {
  client_.catalogs["shop"] = Catalog();
  Importer importer(client_, options_);
  const auto catalog = importer.EnsureCatalog(catalog_);
  EXPECT_TRUE(absl::IsFailedPrecondition(catalog.status()));
  EXPECT_THAT(std::string(catalog.status().message()), HasSubstr("attribute price"));
}

TEST_F(ImporterTest, WaitsUntilNothingIsPendingAndSaysSoWhenItStalls) {
  Importer importer(client_, options_);
  client_.pending = 2;
  EXPECT_TRUE(importer.WaitUntilSearchable(absl::Seconds(30), Ignore).ok());

  client_.pending = 1;
  client_.stuck = true;
  const absl::Status stalled = importer.WaitUntilSearchable(absl::Milliseconds(1), Ignore);
  EXPECT_TRUE(absl::IsDeadlineExceeded(stalled));
  EXPECT_THAT(std::string(stalled.message()), HasSubstr("1 items wait"));
}

TEST_F(ImporterTest, EndsItsWaitWhereNoCountProvesThatAllIsIndexed) {
  // Items without text and pictures have no vectors.
  Importer importer(client_, options_);
  client_.without_vectors = true;
  EXPECT_TRUE(importer.WaitUntilSearchable(absl::Seconds(30), Ignore).ok());
}

}  // namespace
}  // namespace palate::offline
