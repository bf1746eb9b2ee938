#include "offline/import/importer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/status.h"
#include "offline/import/jsonl_reader.h"
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
    client_.catalogs["shop"] = catalog_;
  }

  ImportOutcome Send(ItemReader&& reader) {
    Importer importer(client_, options_);
    ImportOutcome outcome;
    status_ = importer.SendItems(reader, catalog_, outcome, Ignore);
    return outcome;
  }
  // Sends the items of a file that the test writes.
  ImportOutcome SendFile(const std::string& text) {
    SourceReport report;
    const auto reader = OpenItemFile(folder_.Write("items.jsonl", text), folder_.path(), report);
    EXPECT_TRUE(reader.ok()) << reader.status();
    return Send(std::move(**reader));
  }

  static void Ignore(int64_t, int64_t) {}

  TempFolder folder_;
  FakeClient client_;
  ImportOptions options_;
  Catalog catalog_;
  absl::Status status_;
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
  options_.max_batch_bytes = 1000;
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

std::string Lines(int count, const std::string& title) {
  std::string text;
  for (int i = 0; i < count; ++i)
    absl::StrAppend(&text, R"({"id":"i)", i, R"(","title":")", title, "\"}\n");
  return text;
}

TEST_F(ImporterTest, SendsWhatChangedWhenAnInterruptedImportIsRepeatedWithAnEditedFile) {
  client_.calls_until_failure = 2;
  SendFile(Lines(12, "old"));
  ASSERT_FALSE(status_.ok());
  ASSERT_THAT(client_.items, SizeIs(8));

  client_.calls_until_failure = 100;
  const ImportOutcome outcome =
      SendFile(Lines(4, "old") + Lines(12, "new").substr(Lines(4, "new").size()));
  EXPECT_TRUE(status_.ok()) << status_;
  EXPECT_EQ(outcome.resumed_items, 4);
  ASSERT_THAT(client_.items, SizeIs(16));
  EXPECT_EQ(client_.items[8].item.id, "i4");
  EXPECT_EQ(client_.items[8].item.title, "new");
}

TEST_F(ImporterTest, SendsEverythingAgainAfterALineBeforeTheCheckpointWasCorrected) {
  client_.calls_until_failure = 2;
  SendFile("{broken\n" + Lines(12, "old"));

  client_.calls_until_failure = 100;
  const ImportOutcome outcome = SendFile("{\"id\":\"first\"}\n" + Lines(12, "old"));
  EXPECT_EQ(outcome.resumed_items, 0);
  EXPECT_THAT(client_.items, SizeIs(8 + 13));
}

TEST_F(ImporterTest, SendsEverythingToAnotherStoreAndToARecreatedCatalogAndToANamelessStore) {
  for (const std::string change : {"store", "catalog", "nameless"}) {
    client_.incarnation = "store";
    client_.calls_until_failure = 2;
    Send(ListReader(12));
    ASSERT_FALSE(status_.ok());

    client_.items.clear();
    client_.calls_until_failure = 100;
    if (change == "store") client_.incarnation = "other";
    if (change == "catalog") client_.catalogs["shop"].create_time += absl::Seconds(1);
    if (change == "nameless") client_.incarnation = "";
    const ImportOutcome outcome = Send(ListReader(12));
    EXPECT_EQ(outcome.resumed_items, 0) << change;
    EXPECT_THAT(client_.items, SizeIs(12)) << change;
    std::filesystem::remove(options_.checkpoint_path);
  }
}

TEST_F(ImporterTest, RefusesAgainWhatAnInterruptedRunHadRefused) {
  client_.calls_until_failure = 2;
  SendFile(R"({"id":"bad"})"
           "\n" +
           Lines(12, "x"));
  client_.calls_until_failure = 100;
  const ImportOutcome outcome = SendFile(R"({"id":"bad"})"
                                         "\n" +
                                         Lines(12, "x"));
  EXPECT_THAT(outcome.items.failures, SizeIs(1));
}

TEST_F(ImporterTest, NamesFileLineAndColumnOfARefusedItemAndNotItsPlaceInTheBatch) {
  client_.refusal = InvalidField("writes[1].item.title", "has 9 bytes", "at most 5");
  const ImportOutcome outcome =
      SendFile("{\"id\":\"a\"}\n\n{\"id\": \"bad\", \"title\": \"too large\"}\n");
  EXPECT_THAT(
      outcome.refused,
      ElementsAre(folder_.file("items.jsonl") +
                  " line 3, column 15: item \"bad\": title has 9 bytes; must be at most 5"));
}

TEST_F(ImporterTest, CountsAttributesInTheBytesOfABatch) {
  options_.max_batch_bytes = 10000;
  std::string text;
  for (int i = 0; i < 4; ++i)
    absl::StrAppend(&text, R"({"id":"i)", i, R"(","attributes":{"tags":[")", std::string(4000, 'q'),
                    "\"]}}\n");
  SendFile(text);
  EXPECT_THAT(client_.batch_sizes, ElementsAre(2, 2));
}

TEST_F(ImporterTest, RefusesAnItemThatNoMessageCanHoldAndSendsTheOthers) {
  std::string attributes;
  for (int i = 0; i < 40; ++i) {
    absl::StrAppend(&attributes, i == 0 ? "" : ",", "\"a", i, "\":[");
    for (int j = 0; j < 256; ++j)
      absl::StrAppend(&attributes, j == 0 ? "\"" : ",\"", std::string(4000, 'q'), "\"");
    attributes += "]";
  }
  const ImportOutcome outcome =
      SendFile(absl::StrCat(R"({"id":"big","attributes":{)", attributes, "}}\n", Lines(2, "x")));
  EXPECT_TRUE(status_.ok()) << status_;
  EXPECT_EQ(outcome.refused_count(), 1);
  EXPECT_THAT(client_.items, SizeIs(2));
  ASSERT_THAT(outcome.refused, SizeIs(1));
  EXPECT_THAT(outcome.refused[0], HasSubstr("line 1: "));
}

TEST_F(ImporterTest, SendsAnItemWithoutThePicturesThatNoMessageCanHold) {
  folder_.Write("a.jpg", std::string(12 << 20, 'x'));
  const ImportOutcome outcome = SendFile(R"({"id":"big","images":["a.jpg","a.jpg","a.jpg"]})"
                                         "\n" +
                                         Lines(2, "x"));
  EXPECT_TRUE(status_.ok()) << status_;
  EXPECT_EQ(outcome.refused_elements(), 0);
  EXPECT_EQ(outcome.refused_parts, 1);
  ASSERT_THAT(client_.items, SizeIs(3));
  EXPECT_THAT(client_.items[0].images, SizeIs(2));
  ASSERT_THAT(outcome.refused, SizeIs(1));
  EXPECT_THAT(outcome.refused[0],
              HasSubstr("line 1, column 13: a part of item \"big\": images[2] makes an item of "));
}

TEST_F(ImporterTest, CutsWhatIsBeyondALimitAndNamesTheLine) {
  const std::string euro = "\xe2\x82\xac";
  std::string title;
  for (int i = 0; i < 400; ++i) title += euro;
  std::string values = R"("v")";
  for (int i = 0; i < 300; ++i) values += R"(,"v")";
  const ImportOutcome outcome = SendFile(absl::StrCat(
      R"({"id":"a","title":")", title, R"(","description":")", std::string(1 << 20, 'd'),
      R"(","attributes":{"tags":[)", values, R"(],"words":")", std::string(5000, 'w'),
      R"(","list":[")", std::string(5000, 'l'), R"("]}})", "\n"));
  EXPECT_TRUE(status_.ok()) << status_;
  EXPECT_EQ(outcome.refused_elements(), 0);
  EXPECT_EQ(outcome.refused_count(), 5) << "title, description and three attributes";
  ASSERT_THAT(client_.items, SizeIs(1));
  const Item& item = client_.items[0].item;
  EXPECT_EQ(item.title.size(), 1023u) << "at a character";
  EXPECT_EQ(item.description.size(), 65536u);
  EXPECT_THAT(std::get<std::vector<std::string>>(item.attributes.at("tags")), SizeIs(256));
  EXPECT_EQ(std::get<std::string>(item.attributes.at("words")).size(), 4096u);
  EXPECT_EQ(std::get<std::vector<std::string>>(item.attributes.at("list"))[0].size(), 4096u);
  EXPECT_THAT(outcome.refused[0],
              HasSubstr("line 1, column 11: a part of item \"a\": title has 1200 bytes; must be at "
                        "most 1024; the rest is not imported"));
}

TEST_F(ImporterTest, NamesAPictureThatTheServerRefusesByItsPlaceInTheLine) {
  folder_.Write("bad.jpg", "no picture");
  folder_.Write("good.jpg", "a picture");
  const ImportOutcome outcome = SendFile(
      "{\"id\":\"a\"}\n{\"id\":\"b\",\"images\":[\"gone.jpg\",\"good.jpg\",\"bad.jpg\"]}\n");
  EXPECT_EQ(outcome.refused_elements(), 0);
  EXPECT_EQ(outcome.refused_count(), 1);
  EXPECT_THAT(client_.items, SizeIs(2));
  EXPECT_THAT(outcome.refused,
              ElementsAre(folder_.file("items.jsonl") +
                          " line 2, column 11: a part of item \"b\": images[2] is none; must be a "
                          "picture"));
}

TEST_F(ImporterTest, NamesItsItemsThatCannotBeEmbeddedAndNoOthers) {
  folder_.Write("bad.jpg", "no picture");
  const absl::Status corrupt = absl::InvalidArgumentError("images[1] is corrupt");
  client_.failing = {
      {"a", {{"images[0]", absl::InvalidArgumentError("x")}, {"images[1]", corrupt}}},
      {"b", {{"", absl::InvalidArgumentError("too much")}}},
      {"of another import", {{"images[1]", corrupt}}}};
  Importer importer(client_, options_);
  SourceReport report;
  const auto reader = OpenItemFile(
      folder_.Write("items.jsonl", "{\"id\":\"b\"}\n{\"id\":\"a\",\"images\":[\"bad.jpg\"]}\n"),
      folder_.path(), report);
  ASSERT_TRUE(reader.ok()) << reader.status();
  ImportOutcome outcome;
  ASSERT_TRUE(importer.SendItems(**reader, catalog_, outcome, Ignore).ok());
  ASSERT_EQ(outcome.refused_count(), 1) << "the write's own answer";
  ASSERT_TRUE(importer.AddFailedEmbeddings(outcome).ok());
  const std::string file = folder_.file("items.jsonl");
  ASSERT_THAT(outcome.refused, SizeIs(3));
  EXPECT_EQ(outcome.refused[1],
            file + " line 2: item \"a\" is embedded in part: images[1] is corrupt");
  EXPECT_EQ(outcome.refused[2], file + " line 1: item \"b\" cannot be embedded: too much");
}

TEST_F(ImporterTest, StopsAfterMoreFailuresThanAllowed) {
  options_.max_failures = 1;
  SendFile("{broken\n" + Lines(8, "x"));
  EXPECT_TRUE(status_.ok()) << status_;

  client_.items.clear();
  SendFile("{broken\n[\n" + Lines(8, "x"));
  EXPECT_TRUE(absl::IsAborted(status_)) << status_;
  EXPECT_THAT(client_.items, SizeIs(0));
}

TEST_F(ImporterTest, TurnsWholeDoublesIntoDeclaredIntegers) {
  catalog_.attributes = {{"stock", AttributeType::kInt64, true}};
  SendFile(R"({"id":"a","attributes":{"stock":42.0}})"
           "\n"
           R"({"id":"b","attributes":{"stock":4.5}})");
  EXPECT_EQ(client_.items[0].item.attributes.at("stock"), AttributeValue(int64_t{42}));
  EXPECT_EQ(client_.items[1].item.attributes.at("stock"), AttributeValue(4.5));
}

}  // namespace
}  // namespace palate::offline
