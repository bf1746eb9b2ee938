// The change feed's reading side: tokens, waiting, retention.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/feature_store.h"
#include "featurestore/storage/store_core.h"

namespace palate::featurestore {
namespace {

constexpr int kMaxChanges = 10000;
// Trimming starts when the feed has grown past its bound by this share, so that it runs once in a
// while and not at every write.
constexpr int64_t kTrimSlackShare = 16;

std::string EncodeToken(uint32_t catalog, int64_t position) {
  storage::FeedToken token;
  token.set_catalog_number(catalog);
  token.set_position(position);
  return token.SerializeAsString();
}

absl::StatusOr<int64_t> DecodeToken(absl::string_view token, uint32_t catalog) {
  if (token.empty()) return 0;
  storage::FeedToken parsed;
  if (!parsed.ParseFromArray(token.data(), static_cast<int>(token.size())) ||
      parsed.position() < 0) {
    return InvalidField("resume_token",
                        absl::StrCat("is ", token.size(), " bytes that are no token"),
                        "a token from this feed");
  }
  if (parsed.catalog_number() != catalog) {
    // A catalog that was deleted and made again under its name has another number: what the reader
    // knows of it is gone.
    return absl::OutOfRangeError("the resume token is of another catalog; list anew");
  }
  return parsed.position();
}

absl::Status TooOld() {
  return absl::OutOfRangeError(
      "changes behind the resume token have been trimmed or lost; list anew");
}

}  // namespace

absl::StatusOr<std::string> FeatureStore::GetFeedToken(absl::string_view catalog) const {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginReadFeed(catalog));
  return EncodeToken(access.state->number, core_->feed.watermark());
}

absl::StatusOr<ChangeBatch> FeatureStore::ReadChanges(absl::string_view catalog,
                                                      absl::string_view token, int max_changes,
                                                      absl::Time deadline) const {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginReadFeed(catalog));
  const CatalogState& state = *access.state;
  if (max_changes < 1 || max_changes > kMaxChanges) {
    return InvalidField("max_changes", absl::StrCat("is ", max_changes),
                        absl::StrCat("from 1 to ", kMaxChanges));
  }
  PALATE_ASSIGN_OR_RETURN(int64_t position, DecodeToken(token, state.number));
  if (core_->LostBehind(position)) return TooOld();
  ChangeBatch batch;
  const std::string prefix = CatalogPrefix(state.number);
  while (true) {
    const int64_t watermark = core_->feed.watermark();
    const auto visit = [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
      uint32_t number = 0;
      int64_t at = 0;
      if (!ParseChangeKey(key, number, at))
        return absl::DataLossError("a stored change has a damaged key");
      if (at > watermark) return false;
      PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::ChangeRecord>(value, "change"));
      PALATE_ASSIGN_OR_RETURN(const ChangeKind kind, FromRecord(record.kind()));
      batch.changes.push_back({kind, std::move(*record.mutable_key()), record.revision()});
      position = at;
      return batch.changes.size() < static_cast<size_t>(max_changes);
    };
    const int64_t began = position;
    PALATE_RETURN_IF_ERROR(
        core_->ScanPrefix(kChanges, prefix, ChangeKey(state.number, position + 1), {}, visit));
    // Looked at after the scan: a trim says so before it removes anything.
    if (state.deleted)
      return absl::NotFoundError(
          absl::StrCat("catalog ", QuoteForMessage(catalog), " has been deleted"));
    if (began < state.trim_position) return TooOld();
    if (batch.changes.size() < static_cast<size_t>(max_changes))
      position = std::max(position, watermark);
    if (!batch.changes.empty() || !core_->feed.WaitBeyond(position, deadline)) break;
  }
  batch.next_token = EncodeToken(state.number, position);
  return batch;
}

int64_t FeatureStore::AddFeedListener(std::function<void()> listener) {
  return core_->feed.AddListener(std::move(listener));
}

void FeatureStore::RemoveFeedListener(int64_t id) { core_->feed.RemoveListener(id); }

absl::Status FeatureStore::TrimFeed() {
  PALATE_ASSIGN_OR_RETURN(const SharedHold open, core_->Enter());
  PALATE_RETURN_IF_ERROR(core_->TrimFeed(*core_->catalog_feed));
  for (const std::shared_ptr<CatalogState>& state : core_->AllCatalogs())
    PALATE_RETURN_IF_ERROR(core_->TrimFeed(*state));
  return absl::OkStatus();
}

void StoreCore::MaybeTrimFeed(CatalogState& state) {
  const int64_t slack = std::max<int64_t>(1, options.feed_max_entries / kTrimSlackShare);
  if (state.feed_entries <= options.feed_max_entries + slack) return;
  // The caller's write is done and acknowledged whatever becomes of the trim; the next write tries
  // again.
  (void)TrimFeed(state);
}

absl::Status StoreCore::TrimFeed(CatalogState& state) {
  MutexLock lock(trim_mutex);
  if (state.deleted) return absl::OkStatus();
  const int64_t watermark = feed.watermark();
  int64_t excess = state.feed_entries - options.feed_max_entries;
  const int64_t oldest_us = ToMicros(Now() - options.feed_max_age);
  int64_t cut = 0;
  int64_t removed = 0;
  PALATE_RETURN_IF_ERROR(ScanPrefix(
      kChanges, CatalogPrefix(state.number), ChangeKey(state.number, state.trim_position + 1), {},
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        uint32_t number = 0;
        int64_t position = 0;
        if (!ParseChangeKey(key, number, position))
          return absl::DataLossError("a stored change has a damaged key");
        PALATE_ASSIGN_OR_RETURN(const auto record,
                                ParseRecord<storage::ChangeRecord>(value, "change"));
        if (position > watermark || (excess <= 0 && record.time_us() >= oldest_us)) return false;
        cut = position;
        ++removed;
        --excess;
        return true;
      }));
  if (removed == 0) return absl::OkStatus();
  // Readers look at this after their scan, so that none takes the gap for the feed.
  state.trim_position = cut;
  rocksdb::WriteBatch batch;
  batch.DeleteRange(family(kChanges), CatalogPrefix(state.number),
                    ChangeKey(state.number, cut + 1));
  batch.Put(family(kMeta), FeedTrimKey(state.number), EncodeCount(cut));
  PALATE_RETURN_IF_ERROR(Write(batch));
  state.feed_entries -= removed;
  return absl::OkStatus();
}

}  // namespace palate::featurestore
