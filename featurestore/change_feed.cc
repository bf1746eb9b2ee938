#include "featurestore/change_feed.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "featurestore/storage/keys.h"

namespace palate::featurestore {
namespace {

constexpr int kMaxChanges = 10000;

absl::Status TooOld() {
  return absl::OutOfRangeError(
      "changes behind the resume token have been trimmed or lost; list anew");
}

absl::StatusOr<int64_t> DecodeToken(absl::string_view token, uint32_t catalog,
                                    const ChangeLog& changes) {
  if (token.empty()) return 0;
  storage::FeedToken parsed;
  if (!parsed.ParseFromArray(token.data(), static_cast<int>(token.size())) ||
      parsed.position() < 0) {
    return InvalidField("resume_token",
                        absl::StrCat("is ", token.size(), " bytes that are no token"),
                        "a token from this feed");
  }
  if (parsed.catalog_number() != catalog) {
    // A catalog that was deleted and made again under its name has another number: the
    // entries of the old one are gone.
    return absl::OutOfRangeError("the resume token is of another catalog; list anew");
  }
  if (!changes.Holds(parsed.incarnation(), parsed.position())) return TooOld();
  return parsed.position();
}

}  // namespace

ChangeFeed::ChangeFeed(Storage& storage)
    : database_(storage.database()), catalogs_(storage.catalogs()), changes_(storage.changes()) {}

std::string ChangeFeed::EncodeToken(uint32_t catalog, int64_t position) const {
  storage::FeedToken token;
  token.set_catalog_number(catalog);
  token.set_position(position);
  token.set_incarnation(changes_.incarnation());
  return token.SerializeAsString();
}

absl::StatusOr<std::string> ChangeFeed::GetToken(absl::string_view catalog) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginReadFeed(catalog));
  return EncodeToken(access.state->number(), changes_.positions().watermark());
}

absl::StatusOr<ChangeBatch> ChangeFeed::Read(absl::string_view catalog, absl::string_view token,
                                             int max_changes, absl::Time deadline) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginReadFeed(catalog));
  const CatalogState& state = *access.state;
  if (max_changes < 1 || max_changes > kMaxChanges) {
    return InvalidField("max_changes", absl::StrCat("is ", max_changes),
                        absl::StrCat("from 1 to ", kMaxChanges));
  }
  PALATE_ASSIGN_OR_RETURN(int64_t position, DecodeToken(token, state.number(), changes_));

  ChangeBatch batch;
  do {
    PALATE_RETURN_IF_ERROR(
        ReadNow(state, static_cast<size_t>(max_changes), position, batch.changes));
  } while (batch.changes.empty() && changes_.positions().WaitBeyond(position, deadline));

  batch.next_token = EncodeToken(state.number(), position);
  return batch;
}

absl::Status ChangeFeed::ReadNow(const CatalogState& state, size_t max_changes, int64_t& position,
                                 std::vector<Change>& changes) {
  const int64_t watermark = changes_.positions().watermark();
  const int64_t began = position;
  PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
      kChanges, CatalogPrefix(state.number()), ChangeKey(state.number(), position + 1), {},
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        uint32_t number = 0;
        int64_t at = 0;
        if (!ParseChangeKey(key, number, at))
          return absl::DataLossError("a stored change has a damaged key");
        if (at > watermark) return false;
        PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::ChangeRecord>(value, "change"));
        PALATE_ASSIGN_OR_RETURN(const ChangeKind kind, FromRecord(record.kind()));
        changes.push_back({kind, std::move(*record.mutable_key()), record.revision(),
                           FromMicros(record.time_us())});
        position = at;
        return changes.size() < max_changes;
      }));

  // After the scan, because deletion and trimming are announced before rows are removed.
  PALATE_RETURN_IF_ERROR(state.CheckNotDeleted());
  if (began < state.trim_position()) return TooOld();
  if (changes.size() < max_changes) position = std::max(position, watermark);
  return absl::OkStatus();
}

absl::Status ChangeFeed::Trim() {
  PALATE_ASSIGN_OR_RETURN(const SharedHold open, database_.Enter());
  PALATE_RETURN_IF_ERROR(changes_.Trim(catalogs_.catalog_feed()));
  for (const std::shared_ptr<CatalogState>& state : catalogs_.All())
    PALATE_RETURN_IF_ERROR(changes_.Trim(*state));
  return absl::OkStatus();
}

}  // namespace palate::featurestore
