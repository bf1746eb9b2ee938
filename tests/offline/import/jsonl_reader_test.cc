#include "offline/import/jsonl_reader.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/temp_folder.h"

namespace palate::offline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::vector<ItemUpload> ReadItems(const std::string& path, const std::string& images,
                                  SourceReport& report) {
  const auto reader = OpenItemFile(path, images, report);
  EXPECT_TRUE(reader.ok()) << reader.status();
  std::vector<ItemUpload> items;
  while (true) {
    auto item = (*reader)->Next();
    EXPECT_TRUE(item.ok()) << item.status();
    if (!item.ok() || !item->has_value()) return items;
    items.push_back(**std::move(item));
  }
}

std::vector<Event> ReadEvents(const std::string& path, SourceReport& report) {
  const auto reader = OpenEventFile(path, report);
  EXPECT_TRUE(reader.ok()) << reader.status();
  std::vector<Event> events;
  while (true) {
    auto event = (*reader)->Next();
    EXPECT_TRUE(event.ok()) << event.status();
    if (!event.ok() || !event->has_value()) return events;
    events.push_back(**std::move(event));
  }
}

TEST(OpenItemFileTest, ReadsEveryDocumentedKey) {
  TempFolder folder;
  folder.Write("pictures/a.jpg", "JPEG");
  const std::string path = folder.Write(
      "items.jsonl",
      R"({"id":"sku-1","title":"Lamp","description":"A lamp.","attributes":{"color":"brown","price":49.5,"stock":3,"sale":true,"tags":["a","b"]},)"
      R"("images":["a.jpg"],"hidden":true,"create_time":"2026-01-31T12:00:00Z","expire_time":1800000000})"
      "\r\n\n"
      R"({"id":"sku-2"})");

  SourceReport report;
  const auto items = ReadItems(path, folder.path() + "/pictures", report);
  ASSERT_THAT(items, SizeIs(2));

  const Item& item = items[0].item;
  EXPECT_EQ(item.title, "Lamp");
  EXPECT_EQ(std::get<std::string>(item.attributes.at("color")), "brown");
  EXPECT_EQ(std::get<double>(item.attributes.at("price")), 49.5);
  EXPECT_EQ(std::get<int64_t>(item.attributes.at("stock")), 3);
  EXPECT_EQ(std::get<bool>(item.attributes.at("sale")), true);
  EXPECT_THAT(std::get<std::vector<std::string>>(item.attributes.at("tags")),
              ElementsAre("a", "b"));
  EXPECT_TRUE(item.hidden);
  EXPECT_EQ(absl::FormatTime(*item.create_time, absl::UTCTimeZone()), "2026-01-31T12:00:00+00:00");
  EXPECT_EQ(item.expire_time, absl::FromUnixSeconds(1800000000));
  EXPECT_THAT(items[0].images, ElementsAre("JPEG"));

  EXPECT_EQ(items[1].item.id, "sku-2");
  EXPECT_EQ(report.items, 2);
  EXPECT_EQ(report.malformed_count, 0);
}

TEST(ReadNamedImageTest, NamesAFolderGivenAsAPictureAsAFolder) {
  TempFolder folder;
  folder.Write("pictures/front/a.jpg", "JPEG");
  EXPECT_EQ(*ReadNamedImage(folder.file("pictures"), "front/a.jpg"), "JPEG");

  const absl::Status status = ReadNamedImage(folder.file("pictures"), "front").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("front is a folder, not a file"));
}

TEST(OpenItemFileTest, SkipsMalformedLinesAndNamesThem) {
  TempFolder folder;
  const std::string path = folder.Write("items.jsonl",
                                        "{\"id\":\"a\"}\n{\"id\":\"b\"\n[1]\n{\"title\":\"no "
                                        "id\"}\n{\"id\":7}\n{\"id\":\"c\",\"titel\":\"x\"}\n{"
                                        "\"id\":\"d\",\"attributes\":{\"p\":{\"q\":1}}}\n"
                                        "{\"id\":\"e\",\"create_time\":\"yesterday\"}\n{\"id\":"
                                        "\"f\",\"title\":\"\xff\"}\n{\"id\":\"z\"}\n");

  SourceReport report;
  const auto items = ReadItems(path, "", report);
  ASSERT_THAT(items, SizeIs(2));
  EXPECT_EQ(items[1].item.id, "z");

  EXPECT_EQ(report.malformed_count, 8);
  ASSERT_THAT(report.malformed, SizeIs(8));
  for (int i = 0; i < 8; ++i) EXPECT_EQ(report.malformed[i].line, i + 2);
  EXPECT_THAT(report.malformed[2].reason, HasSubstr("id"));
  EXPECT_THAT(report.malformed[4].reason, HasSubstr("titel"));
  EXPECT_THAT(report.malformed[5].reason, HasSubstr("attributes.p"));
  EXPECT_THAT(report.malformed[6].reason, HasSubstr("create_time"));
}

TEST(OpenItemFileTest, RefusesAWholeNumberThatAnAttributeCannotHold) {
  TempFolder folder;
  std::string lines;
  for (const char* number : {"9223372036854775807", "9223372036854775808", "18446744073709551615",
                             "-9223372036854775808", "1e19"}) {
    lines += absl::StrCat("{\"id\":\"", number, "\",\"attributes\":{\"n\":", number, "}}\n");
  }

  SourceReport report;
  const auto items = ReadItems(folder.Write("items.jsonl", lines), "", report);
  ASSERT_THAT(items, SizeIs(3));
  for (const ItemUpload& upload : items) EXPECT_FALSE(upload.item.id.starts_with("18"));
  ASSERT_THAT(report.malformed, SizeIs(2));
  EXPECT_EQ(report.malformed[0].line, 2);
  EXPECT_THAT(report.malformed[0].reason, HasSubstr("attributes.n"));
  EXPECT_EQ(report.malformed[1].line, 3);
}

TEST(OpenItemFileTest, KeepsItemsWhosePictureIsMissingOrOutsideTheFolder) {
  TempFolder folder;
  folder.Write("secret", "secret");
  const std::string path = folder.Write("items.jsonl", R"({"id":"a","images":["missing.jpg"]})"
                                                       "\n"
                                                       R"({"id":"b","images":["../secret"]})"
                                                       "\n");

  SourceReport report;
  std::filesystem::create_directories(folder.path() + "/pictures");
  const auto items = ReadItems(path, folder.path() + "/pictures", report);

  ASSERT_THAT(items, SizeIs(2));
  EXPECT_THAT(items[1].images, SizeIs(0));
  EXPECT_EQ(report.without_image, 2);
  ASSERT_EQ(report.malformed_count, 2);
  EXPECT_THAT(report.malformed[1].reason, HasSubstr("leaves the images folder"));
}

TEST(OpenEventFileTest, ReadsEventsAndReportsIncompleteOnes) {
  TempFolder folder;
  const std::string path = folder.Write(
      "events.jsonl",
      R"({"user_id":"u","item_id":"i","type":"rating","value":4.5,"time":"2026-02-01T08:00:00Z","event_id":"e","session_id":"s","recommendation_id":"r"})"
      "\n"
      R"({"user_id":"u","item_id":"i","type":"like"})"
      "\n"
      R"({"user_id":"u","item_id":"i","type":"like","time":100.5,"value":"high"})"
      "\n"
      R"({"user_id":"u","item_id":"i","type":"like","time":100.5})"
      "\n");

  SourceReport report;
  const auto events = ReadEvents(path, report);

  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[0].value, 4.5);
  EXPECT_EQ(events[0].session_id, "s");
  EXPECT_EQ(events[0].recommendation_id, "r");
  EXPECT_EQ(events[1].time, absl::UnixEpoch() + absl::Milliseconds(100500));

  EXPECT_EQ(report.malformed_count, 2);
  EXPECT_THAT(report.malformed[0].reason, HasSubstr("time"));
  EXPECT_THAT(report.malformed[1].reason, HasSubstr("value"));
}

TEST(OpenEventFileTest, NamesAFileThatIsMissing) {
  SourceReport report;
  const auto reader = OpenEventFile("/nonexistent/events.jsonl", report);
  EXPECT_TRUE(absl::IsNotFound(reader.status()));
  EXPECT_THAT(std::string(reader.status().message()), HasSubstr("/nonexistent/events.jsonl"));
}

TEST(InferAttributesTest, FindsTheTypeThatFitsEveryLine) {
  TempFolder folder;
  const std::string path = folder.Write(
      "items.jsonl", R"({"id":"a","attributes":{"price":5,"color":"red","stock":1}})"
                     "\n"
                     R"({"id":"b","attributes":{"price":5.5,"color":["red","blue"],"sale":false}})"
                     "\n");

  const auto declarations = InferAttributes(path);
  ASSERT_TRUE(declarations.ok()) << declarations.status();
  EXPECT_THAT(*declarations,
              ElementsAre(AttributeDeclaration{"color", AttributeType::kStringList, true},
                          AttributeDeclaration{"price", AttributeType::kDouble, true},
                          AttributeDeclaration{"sale", AttributeType::kBool, true},
                          AttributeDeclaration{"stock", AttributeType::kInt64, true}));
}

TEST(OpenItemFileTest, SaysLineColumnAndWhyOfWhatIsNoJson) {
  const std::vector<std::tuple<std::string, int, std::string>> cases = {
      {R"({"id":"x","attributes":{"price":NaN}})", 33, "NaN is no JSON number"},
      {R"({"id":"x","attributes":{"price":-Infinity}})", 33, "-Infinity is no JSON number"},
      {R"({"id":"x","attributes":{"price":1e999}})", 33,
       "\"1e999\" is no number that JSON can hold"},
      {R"({"id":"é","title":"half \ud83d cut"})", 25, "half a surrogate pair"},
      {R"({"id":"s3","title":"low \ude00"})", 25, "half a surrogate pair"},
      {"{\"id\":\"l1\",\"title\":\"caf\xe9\"}", 24, "is not UTF-8 (byte 0xE9"},
      {R"({"id":"x","title":"open)", 24, "is not closed"},
      {R"({"id":"x",})", 11, "is not expected here"},
      {R"({"id":"x","hidden":True})", 20, "\"True\" is no JSON value"},
      {R"("text")", 1, "is not a JSON object"},
      {R"({"id":"x","titel":"y"})", 11, "titel"},
      {R"({"id":"x","attributes":{"a":1,"p":{"q":1}}})", 31, "attributes.p"},
      {R"({"id":7})", 2, "id"}};
  for (const auto& [line, column, reason] : cases) {
    TempFolder folder;
    SourceReport report;
    ReadItems(folder.Write("items.jsonl", "{\"id\":\"ok\"}\n" + line + "\n"), "", report);
    ASSERT_THAT(report.malformed, SizeIs(1)) << line;
    EXPECT_EQ(report.malformed[0].line, 2) << line;
    EXPECT_EQ(report.malformed[0].column, column) << line << report.malformed[0].reason;
    EXPECT_THAT(report.malformed[0].reason, HasSubstr(reason)) << line;
  }
}

TEST(OpenItemFileTest, RefusesAFileThatHoldsNoJsonLines) {
  TempFolder folder;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[\n  {\"id\": \"a\"}\n]", "JSON array"},
      {"\xEF\xBB\xBF[{\"id\": \"a\"}]", "JSON array"},
      {std::string("\xFF\xFE{\0\"\0", 6), "UTF-16"},
      {std::string("\0{\0\"", 4), "UTF-16"}};
  for (const auto& [content, reason] : cases) {
    SourceReport report;
    const auto reader = OpenItemFile(folder.Write("wrong.jsonl", content), "", report);
    EXPECT_TRUE(absl::IsFailedPrecondition(reader.status())) << reader.status();
    EXPECT_THAT(std::string(reader.status().message()), HasSubstr(reason));
  }
  SourceReport report;
  EXPECT_THAT(std::string(OpenItemFile(folder.path(), "", report).status().message()),
              HasSubstr("is a folder"));
}

TEST(OpenItemFileTest, ReadsAFileWithAByteOrderMark) {
  TempFolder folder;
  SourceReport report;
  EXPECT_THAT(ReadItems(folder.Write("items.jsonl", "\xEF\xBB\xBF{\"id\":\"a\"}\r\n"), "", report),
              SizeIs(1));
  EXPECT_EQ(report.malformed_count, 0);
}

TEST(InferAttributesTest, FailsAndSaysWhyWhenNoLineCanBeImported) {
  TempFolder folder;
  const absl::Status broken = InferAttributes(folder.Write("a.jsonl", "\n{\"id\":NaN}\n")).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(broken));
  EXPECT_THAT(std::string(broken.message()), HasSubstr("line 2, column 7: NaN"));
  EXPECT_TRUE(absl::IsFailedPrecondition(InferAttributes(folder.Write("b.jsonl", "")).status()));
}

TEST(InferAttributesTest, TakesWholePricesForDoublesUnlessTheCallerDeclaresThem) {
  TempFolder folder;
  const std::string path = folder.Write(
      "a.jsonl", R"({"id":"a","attributes":{"sale_price":5,"year":1999,"priceless":1}})");
  EXPECT_THAT(*InferAttributes(path),
              ElementsAre(AttributeDeclaration{"priceless", AttributeType::kInt64, true},
                          AttributeDeclaration{"sale_price", AttributeType::kDouble, true},
                          AttributeDeclaration{"year", AttributeType::kInt64, true}));
  EXPECT_EQ((*InferAttributes(path, {{"sale_price", AttributeType::kInt64}}))[1].type,
            AttributeType::kInt64);
}

TEST(InferAttributesTest, NamesTheAttributeAndLineThatDoNotFit) {
  TempFolder folder;
  const std::string path = folder.Write("items.jsonl", R"({"id":"a","attributes":{"size":5}})"
                                                       "\n"
                                                       R"({"id":"b","attributes":{"size":"large"}})"
                                                       "\n");
  const absl::Status status = InferAttributes(path).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("line 2"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("size"));
}

}  // namespace
}  // namespace palate::offline
