// Keys of every column family, so that byte order is the order that reads need.
//
// Each key starts with a format byte and the 32-bit catalog number (big-endian). Ids are escaped
// and terminated, so no id can be the prefix of another's key whatever bytes it holds, and ids sort
// as bytes: 0x00 becomes 0x00 0xFF, the end is 0x00 0x01. Times are big-endian and inverted: newer
// sorts first. All rows of a user share UserPrefix() in every column family. Pure functions,
// thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace palate::featurestore {

inline constexpr char kKeyFormat = 1;
// Catalog numbers start here; number 0 is the feed of catalogs.
inline constexpr uint32_t kCatalogFeed = 0;
inline constexpr uint32_t kFirstCatalog = 1;

void AppendId(absl::string_view id, std::string& out);
// Takes an id off the front; false when the bytes are not what AppendId writes.
bool ConsumeId(absl::string_view& in, std::string& id);
void AppendInvertedTime(int64_t time_us, std::string& out);
bool ConsumeInvertedTime(absl::string_view& in, int64_t& time_us);

// The first key after all keys that start with `prefix`; empty when there is none.
std::string PrefixEnd(absl::string_view prefix);

std::string CatalogPrefix(uint32_t catalog);

// Column family catalogs: the one without a number.
std::string CatalogKey(absl::string_view catalog_id);

// items; also, below a tag, in counters.
std::string ItemKey(uint32_t catalog, absl::string_view item_id);

// users, events, impressions, idempotence.
std::string UserPrefix(uint32_t catalog, absl::string_view user_id);
std::string ProfileKey(absl::string_view user_prefix);
std::string AggregateKey(absl::string_view user_prefix);
// The numbers of the items that the user has seen: one row.
std::string SeenKey(absl::string_view user_prefix);
// Until format 2: one row for each item.
std::string OldSeenPrefix(absl::string_view user_prefix);
std::string EventKey(absl::string_view user_prefix, int64_t time_us, absl::string_view event_id);
std::string IdempotenceKey(absl::string_view user_prefix, absl::string_view event_id);
std::string ImpressionKey(absl::string_view user_prefix, int64_t time_us,
                          absl::string_view recommendation_id);

// vectors.
std::string VectorPrefix(uint32_t catalog, absl::string_view item_id);
std::string VectorKey(uint32_t catalog, absl::string_view item_id, absl::string_view space,
                      absl::string_view fingerprint);

// blobs.
std::string BlobKey(uint32_t catalog, absl::string_view sha256);

// counters: rows that are derived from other rows, distinguished by a tag.
enum class CounterTag : char {
  kItems = 'i',        // sum
  kUsers = 'u',        // sum
  kEvents = 'e',       // sum
  kNewestEvent = 'n',  // maximum, microseconds
  kPopularity = 'p',   // sum of millionths, by bucket and item
  kFresh = 'f',        // by create_time and item: the visible items; value: the expiry, 8 bytes
                       // big-endian, or nothing
  kEmbedding = 'q',    // by item: EmbeddingRecord
  kBlobRef = 'r',      // by digest: BlobRefRecord
};
std::string CounterPrefix(uint32_t catalog, CounterTag tag);
std::string TimedItemKey(uint32_t catalog, CounterTag tag, int64_t time_us,
                         absl::string_view item_id);  // kPopularity, kFresh
std::string TaggedItemKey(uint32_t catalog, CounterTag tag,
                          absl::string_view item_id);  // kEmbedding
std::string BlobRefKey(uint32_t catalog, absl::string_view sha256);

// numbers: the number of each item id, 4 bytes big-endian, and the id of each number.
std::string NumberOfIdKey(uint32_t catalog, absl::string_view item_id);
std::string IdOfNumberPrefix(uint32_t catalog);
std::string IdOfNumberKey(uint32_t catalog, uint32_t number);

// changes.
std::string ChangeKey(uint32_t catalog, int64_t position);
bool ParseChangeKey(absl::string_view key, uint32_t& catalog, int64_t& position);

// meta: plain names, readable by every version.
inline constexpr absl::string_view kFormatVersionKey = "format_version";
inline constexpr absl::string_view kNextCatalogKey = "next_catalog";
inline constexpr absl::string_view kPurgePendingKey = "purge_pending";
inline constexpr absl::string_view kFeedEpochPrefix = "feed_epoch/";
std::string FeedEpochKey(int64_t start);
std::string FeedTrimKey(uint32_t catalog);
std::string SpacePrefix(uint32_t catalog);
std::string SpaceRecordKey(uint32_t catalog, absl::string_view space);
std::string StaleVectorsKey(uint32_t catalog);

}  // namespace palate::featurestore
