#include "featurestore/storage/keys.h"

#include "absl/strings/str_cat.h"
#include "base/bytes.h"

namespace palate::featurestore {
namespace {

constexpr char kEscape = '\x00';
constexpr char kEscapedZero = '\xff';
constexpr char kTerminator = '\x01';

constexpr char kProfileTag = 'p';
constexpr char kAggregateTag = 'a';
constexpr char kSeenTag = 'b';     // a bitmap
constexpr char kOldSeenTag = 's';  // until format 2

// Of column family numbers.
constexpr char kNumberOfIdTag = 'n';
constexpr char kIdOfNumberTag = 'i';

constexpr uint64_t kSignBit = uint64_t{1} << 63;

}  // namespace

void AppendId(absl::string_view id, std::string& out) {
  for (const char c : id) {
    out.push_back(c);
    if (c == kEscape) out.push_back(kEscapedZero);
  }
  out.push_back(kEscape);
  out.push_back(kTerminator);
}

bool ConsumeId(absl::string_view& in, std::string& id) {
  id.clear();
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] != kEscape) {
      id.push_back(in[i]);
      continue;
    }
    if (i + 1 >= in.size()) return false;
    if (in[i + 1] == kTerminator) {
      in.remove_prefix(i + 2);
      return true;
    }
    if (in[i + 1] != kEscapedZero) return false;
    id.push_back(kEscape);
    ++i;
  }
  return false;
}

void AppendInvertedTime(int64_t time_us, std::string& out) {
  AppendBigEndian64(~(static_cast<uint64_t>(time_us) ^ kSignBit), out);
}

bool ConsumeInvertedTime(absl::string_view& in, int64_t& time_us) {
  uint64_t inverted = 0;
  if (!ConsumeBigEndian64(in, inverted)) return false;
  time_us = static_cast<int64_t>(~inverted ^ kSignBit);
  return true;
}

std::string PrefixEnd(absl::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
  return end;
}

std::string CatalogPrefix(uint32_t catalog) {
  std::string key(1, kKeyFormat);
  AppendBigEndian32(catalog, key);
  return key;
}

std::string CatalogKey(absl::string_view catalog_id) {
  std::string key(1, kKeyFormat);
  AppendId(catalog_id, key);
  return key;
}

std::string ItemKey(uint32_t catalog, absl::string_view item_id) {
  std::string key = CatalogPrefix(catalog);
  AppendId(item_id, key);
  return key;
}

std::string UserPrefix(uint32_t catalog, absl::string_view user_id) {
  return ItemKey(catalog, user_id);
}

std::string ProfileKey(absl::string_view user_prefix) {
  return absl::StrCat(user_prefix, std::string(1, kProfileTag));
}

std::string AggregateKey(absl::string_view user_prefix) {
  return absl::StrCat(user_prefix, std::string(1, kAggregateTag));
}

std::string SeenKey(absl::string_view user_prefix) {
  return absl::StrCat(user_prefix, std::string(1, kSeenTag));
}

std::string OldSeenPrefix(absl::string_view user_prefix) {
  return absl::StrCat(user_prefix, std::string(1, kOldSeenTag));
}

std::string EventKey(absl::string_view user_prefix, int64_t time_us, absl::string_view event_id) {
  std::string key(user_prefix);
  AppendInvertedTime(time_us, key);
  AppendId(event_id, key);
  return key;
}

std::string IdempotenceKey(absl::string_view user_prefix, absl::string_view event_id) {
  std::string key(user_prefix);
  AppendId(event_id, key);
  return key;
}

std::string ImpressionKey(absl::string_view user_prefix, int64_t time_us,
                          absl::string_view recommendation_id) {
  return EventKey(user_prefix, time_us, recommendation_id);
}

std::string VectorPrefix(uint32_t catalog, absl::string_view item_id) {
  return ItemKey(catalog, item_id);
}

std::string VectorKey(uint32_t catalog, absl::string_view item_id, absl::string_view space,
                      absl::string_view fingerprint) {
  std::string key = VectorPrefix(catalog, item_id);
  AppendId(space, key);
  AppendId(fingerprint, key);
  return key;
}

std::string BlobKey(uint32_t catalog, absl::string_view sha256) {
  return absl::StrCat(CatalogPrefix(catalog), sha256);
}

std::string CounterPrefix(uint32_t catalog, CounterTag tag) {
  std::string key = CatalogPrefix(catalog);
  key.push_back(static_cast<char>(tag));
  return key;
}

std::string TimedItemKey(uint32_t catalog, CounterTag tag, int64_t time_us,
                         absl::string_view item_id) {
  std::string key = CounterPrefix(catalog, tag);
  AppendInvertedTime(time_us, key);
  AppendId(item_id, key);
  return key;
}

std::string TaggedItemKey(uint32_t catalog, CounterTag tag, absl::string_view item_id) {
  std::string key = CounterPrefix(catalog, tag);
  AppendId(item_id, key);
  return key;
}

std::string BlobRefKey(uint32_t catalog, absl::string_view sha256) {
  return absl::StrCat(CounterPrefix(catalog, CounterTag::kBlobRef), sha256);
}

std::string NumberOfIdKey(uint32_t catalog, absl::string_view item_id) {
  std::string key = CatalogPrefix(catalog);
  key.push_back(kNumberOfIdTag);
  AppendId(item_id, key);
  return key;
}

std::string IdOfNumberPrefix(uint32_t catalog) {
  return absl::StrCat(CatalogPrefix(catalog), std::string(1, kIdOfNumberTag));
}

std::string IdOfNumberKey(uint32_t catalog, uint32_t number) {
  std::string key = IdOfNumberPrefix(catalog);
  AppendBigEndian32(number, key);
  return key;
}

std::string ChangeKey(uint32_t catalog, int64_t position) {
  std::string key = CatalogPrefix(catalog);
  AppendBigEndian64(static_cast<uint64_t>(position), key);
  return key;
}

bool ParseChangeKey(absl::string_view key, uint32_t& catalog, int64_t& position) {
  if (key.empty() || key[0] != kKeyFormat) return false;
  key.remove_prefix(1);
  uint64_t number = 0;
  if (!ConsumeBigEndian32(key, catalog) || !ConsumeBigEndian64(key, number) || !key.empty())
    return false;
  position = static_cast<int64_t>(number);
  return true;
}

std::string FeedEpochKey(int64_t start) {
  std::string key(kFeedEpochPrefix);
  AppendBigEndian64(static_cast<uint64_t>(start), key);
  return key;
}

std::string FeedTrimKey(uint32_t catalog) {
  return absl::StrCat("feed_trim/", CatalogPrefix(catalog));
}

std::string SpacePrefix(uint32_t catalog) { return absl::StrCat("space/", CatalogPrefix(catalog)); }

std::string SpaceRecordKey(uint32_t catalog, absl::string_view space) {
  return absl::StrCat(SpacePrefix(catalog), space);
}

std::string StaleVectorsKey(uint32_t catalog) {
  return absl::StrCat("stale_vectors/", CatalogPrefix(catalog));
}

}  // namespace palate::featurestore
