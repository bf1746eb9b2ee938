// Converts between the domain's values (domain/) and the records on disk (proto/palate/storage/v1).
// Pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "domain/catalog.h"
#include "domain/event.h"
#include "domain/item.h"
#include "domain/user.h"
#include "featurestore/types.h"
#include "palate/storage/v1/records.pb.h"

namespace palate::featurestore {

namespace storage = ::palate::storage::v1;

int64_t ToMicros(absl::Time time);
absl::Time FromMicros(int64_t micros);

// DATA_LOSS naming `what` when the bytes are not such a record.
template <typename Record>
absl::StatusOr<Record> ParseRecord(absl::string_view bytes, absl::string_view what) {
  Record record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError(absl::StrCat("a stored ", what, " cannot be parsed; its ",
                                            bytes.size(), " bytes are damaged"));
  }
  return record;
}

storage::CatalogRecord ToRecord(const Catalog& catalog, uint32_t number);
absl::StatusOr<Catalog> FromRecord(const std::string& id, const storage::CatalogRecord& record);

storage::ItemRecord ToRecord(const Item& item, int64_t content_revision);
Item FromRecord(std::string id, storage::ItemRecord&& record);

storage::UserRecord ToRecord(const User& user);
User FromRecord(std::string id, storage::UserRecord&& record);

storage::EventRecord ToRecord(const Event& event, int64_t popularity_micros);
// The fields that the key holds are arguments.
Event FromRecord(std::string user_id, std::string event_id, int64_t time_us,
                 storage::EventRecord&& record);

// A number that names no kind or type is DataLoss, here and within a catalog.
storage::ChangeKind ToRecord(ChangeKind kind);
absl::StatusOr<ChangeKind> FromRecord(storage::ChangeKind kind);

// Operands and values of the counters that merge: 8 bytes, big-endian. DATA_LOSS for other bytes.
std::string EncodeCount(int64_t value);
absl::StatusOr<int64_t> DecodeCount(absl::string_view bytes);

// Opaque page tokens that hold the last id of a page; "" is the first page. INVALID_ARGUMENT for
// bytes that are no token.
std::string EncodePageToken(absl::string_view last_id);
absl::StatusOr<std::string> DecodePageToken(absl::string_view token);

// An event's identity when the caller gives none: the same content has the same id.
std::string DeriveEventId(const Event& event);

}  // namespace palate::featurestore
