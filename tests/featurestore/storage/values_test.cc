// Keys, codecs, picture headers and the feed's positions, apart from any database.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/bytes.h"
#include "featurestore/items/image_properties.h"
#include "featurestore/storage/feed_sequencer.h"
#include "featurestore/storage/keys.h"
#include "featurestore/storage/record_codec.h"
#include "tests/featurestore/store_fixture.h"

namespace palate::featurestore {
namespace {

using ::testing::HasSubstr;

const std::vector<std::string> kAwkwardIds = {"a",
                                              "ab",
                                              "b",
                                              std::string("a\0", 2),
                                              std::string("a\0b", 3),
                                              std::string("a\0\xff", 3),
                                              "a\x01",
                                              "\xff",
                                              "\xff\xff",
                                              "ä",
                                              std::string(256, 'x')};

TEST(KeysTest, SurviveARoundTripWithAnyBytes) {
  for (const std::string& id : kAwkwardIds) {
    std::string key;
    AppendId(id, key);
    key += "rest";
    absl::string_view in = key;
    std::string out;
    ASSERT_TRUE(ConsumeId(in, out));
    EXPECT_EQ(out, id);
    EXPECT_EQ(in, "rest");
  }
}

TEST(KeysTest, NoUsersPrefixBeginsAnother) {
  for (const std::string& a : kAwkwardIds) {
    for (const std::string& b : kAwkwardIds) {
      if (a == b) continue;
      const std::string prefix = UserPrefix(7, a);
      EXPECT_NE(UserPrefix(7, b).substr(0, prefix.size()), prefix);
      EXPECT_FALSE(UserPrefix(7, b) >= prefix && UserPrefix(7, b) < PrefixEnd(prefix));
    }
  }
}

TEST(KeysTest, SortIdsAsBytes) {
  std::vector<std::string> by_id = kAwkwardIds;
  std::sort(by_id.begin(), by_id.end());
  for (size_t i = 1; i < by_id.size(); ++i)
    EXPECT_LT(ItemKey(1, by_id[i - 1]), ItemKey(1, by_id[i]));
}

TEST(KeysTest, NewerEventsSortFirst) {
  const std::string prefix = UserPrefix(1, "u");
  EXPECT_LT(EventKey(prefix, 2, "a"), EventKey(prefix, 1, "a"));
  EXPECT_LT(EventKey(prefix, 0, "a"), EventKey(prefix, -1, "a"));
  EXPECT_LT(EventKey(prefix, int64_t{1} << 60, "a"), EventKey(prefix, 5, "a"));
  std::string key;
  AppendInvertedTime(-42, key);
  absl::string_view in = key;
  int64_t time = 0;
  ASSERT_TRUE(ConsumeInvertedTime(in, time));
  EXPECT_EQ(time, -42);
}

TEST(KeysTest, RefuseDamagedIds) {
  std::string out;
  for (const absl::string_view bytes :
       {absl::string_view(""), absl::string_view("abc"), absl::string_view("a\0", 2),
        absl::string_view("a\0\x02", 3)}) {
    absl::string_view in = bytes;
    EXPECT_FALSE(ConsumeId(in, out));
  }
}

TEST(KeysTest, PrefixEndSkipsBytesThatCannotGrow) {
  EXPECT_EQ(PrefixEnd("ab"), "ac");
  EXPECT_EQ(PrefixEnd("a\xff\xff"), "b");
  EXPECT_EQ(PrefixEnd("\xff"), "");
}

std::string Jpeg(uint16_t width, uint16_t height, bool whole = true) {
  std::string jpeg("\xff\xd8\xff\xe0\x00\x04\x01\x02\xff\xff\xc0\x00\x0b\x08", 14);
  for (const uint16_t size : {height, width}) {
    jpeg.push_back(static_cast<char>(size >> 8));
    jpeg.push_back(static_cast<char>(size & 0xff));
  }
  jpeg += std::string("\x01\x01\x11\x00", 4);
  if (whole) jpeg += "\xff\xd9";
  return jpeg;
}

std::string Webp(absl::string_view chunk, const std::string& body) {
  std::string inner = absl::StrCat("WEBP", chunk, std::string("\x20\0\0\0", 4), body);
  inner.resize(std::max<size_t>(inner.size(), 40), '\0');
  std::string webp = "RIFF";
  for (int shift = 0; shift < 32; shift += 8)
    webp.push_back(static_cast<char>(inner.size() >> shift));
  return webp + inner;
}

TEST(CodecTest, ChangeKindsRoundTripAndUnknownOnesAreDataLoss) {
  for (int number = 1; number < storage::ChangeKind_ARRAYSIZE; ++number) {
    const auto stored = static_cast<storage::ChangeKind>(number);
    const absl::StatusOr<ChangeKind> kind = FromRecord(stored);
    ASSERT_TRUE(kind.ok()) << kind.status();
    EXPECT_EQ(ToRecord(*kind), stored);
  }
  for (const int number : {0, int{storage::ChangeKind_ARRAYSIZE}}) {
    EXPECT_EQ(FromRecord(static_cast<storage::ChangeKind>(number)).status().code(),
              absl::StatusCode::kDataLoss)
        << number;
  }
}

TEST(CodecTest, AttributeTypesRoundTripAndUnknownOnesAreDataLoss) {
  Catalog catalog;
  for (const AttributeType type :
       {AttributeType::kString, AttributeType::kStringList, AttributeType::kInt64,
        AttributeType::kDouble, AttributeType::kBool}) {
    catalog.attributes.push_back({"a", type, true});
  }
  storage::CatalogRecord record = ToRecord(catalog, 1);
  const absl::StatusOr<Catalog> back = FromRecord("shop", record);
  ASSERT_TRUE(back.ok()) << back.status();
  ASSERT_EQ(back->attributes.size(), catalog.attributes.size());
  for (size_t i = 0; i < catalog.attributes.size(); ++i)
    EXPECT_EQ(back->attributes[i].type, catalog.attributes[i].type);
  for (const int number : {0, int{storage::AttributeType_ARRAYSIZE}}) {
    record.mutable_attributes(0)->set_type(static_cast<storage::AttributeType>(number));
    EXPECT_EQ(FromRecord("shop", record).status().code(), absl::StatusCode::kDataLoss) << number;
  }
}

TEST(ImagePropertiesTest, ReadsSizesOfEveryFormat) {
  const auto png = ReadImageProperties(Png(640, 480));
  ASSERT_TRUE(png.ok()) << png.status();
  EXPECT_EQ(png->media_type, "image/png");
  EXPECT_EQ(png->width, 640);
  EXPECT_EQ(png->height, 480);

  const auto jpeg = ReadImageProperties(Jpeg(300, 200));
  ASSERT_TRUE(jpeg.ok()) << jpeg.status();
  EXPECT_EQ(jpeg->media_type, "image/jpeg");
  EXPECT_EQ(jpeg->width, 300);
  EXPECT_EQ(jpeg->height, 200);

  const auto lossy = ReadImageProperties(
      Webp("VP8 ", std::string("\x00\x00\x00\x9d\x01\x2a\x10\x00\x20\x00", 10)));
  ASSERT_TRUE(lossy.ok()) << lossy.status();
  EXPECT_EQ(lossy->width, 16);
  EXPECT_EQ(lossy->height, 32);

  const auto lossless = ReadImageProperties(Webp("VP8L", std::string("\x2f\x0f\xc0\x07\x00", 5)));
  ASSERT_TRUE(lossless.ok()) << lossless.status();
  EXPECT_EQ(lossless->width, 16);
  EXPECT_EQ(lossless->height, 32);

  const auto extended =
      ReadImageProperties(Webp("VP8X", std::string("\0\0\0\0\x0f\0\0\x1f\0\0", 10)));
  ASSERT_TRUE(extended.ok()) << extended.status();
  EXPECT_EQ(extended->width, 16);
  EXPECT_EQ(extended->height, 32);
}

TEST(ImagePropertiesTest, RefusesTruncatedFiles) {
  for (const std::string& whole :
       {Png(8, 8), Jpeg(8, 8), Webp("VP8L", std::string("\x2f\x0f\xc0\x07\x00", 5))}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(ReadImageProperties(whole.substr(0, size)).ok())
          << size << " of " << whole.size();
    }
  }
}

TEST(ImagePropertiesTest, RefusesOtherFormatsAndEmptyPictures) {
  EXPECT_THAT(ReadImageProperties("GIF89a").status().message(),
              HasSubstr("neither JPEG, PNG nor WebP"));
  EXPECT_FALSE(ReadImageProperties("").ok());
  EXPECT_FALSE(ReadImageProperties(Png(0, 5)).ok());
  EXPECT_FALSE(ReadImageProperties(Jpeg(5, 0)).ok());
}

TEST(FeedSequencerTest, ReadersStopBeforeTheOldestUnfinishedWrite) {
  FeedSequencer feed;
  feed.Start(10);
  EXPECT_EQ(feed.watermark(), 9);
  auto first = feed.Reserve(2);
  auto second = feed.Reserve(1);
  EXPECT_EQ(first->first(), 10);
  EXPECT_EQ(second->first(), 12);
  second.reset();
  EXPECT_EQ(feed.watermark(), 9);
  EXPECT_FALSE(feed.WaitBeyond(9, absl::InfinitePast()));
  first.reset();
  EXPECT_EQ(feed.watermark(), 12);
  EXPECT_TRUE(feed.WaitBeyond(11, absl::InfinitePast()));
}

TEST(FeedSequencerTest, TellsListenersOnlyWhenReadersCanGoOn) {
  FeedSequencer feed;
  int calls = 0;
  const int64_t id = feed.AddListener([&calls] { ++calls; });
  auto first = feed.Reserve(1);
  auto second = feed.Reserve(1);
  second.reset();
  EXPECT_EQ(calls, 0);
  first.reset();
  EXPECT_EQ(calls, 1);
  feed.RemoveListener(id);
  feed.Reserve(1).reset();
  EXPECT_EQ(calls, 1);
}

TEST(FeedSequencerTest, CloseEndsEveryWait) {
  FeedSequencer feed;
  feed.Close();
  EXPECT_FALSE(feed.WaitBeyond(100, absl::InfiniteFuture()));
}

}  // namespace
}  // namespace palate::featurestore
