#include "featurestore/storage/change_log.h"

#include <algorithm>
#include <optional>
#include <string>

#include "base/status.h"

namespace palate::featurestore {
namespace {

// Room between the positions of two Opens: larger than what a power loss can take back under
// relaxed durability.
constexpr int64_t kEpochGap = int64_t{1} << 20;
// Trimming starts when the feed has grown past its bound by this share, so that it runs once in a
// while and not at every write.
constexpr int64_t kTrimSlackShare = 16;

}  // namespace

ChangeLog::ChangeLog(Database& database, const StoreOptions& options)
    : database_(database), options_(options) {}

absl::Status ChangeLog::Start(const CatalogRegistry& catalogs) {
  int64_t last = 0;
  PALATE_RETURN_IF_ERROR(LoadFeed(catalogs.catalog_feed(), last));
  for (const std::shared_ptr<CatalogState>& state : catalogs.All())
    PALATE_RETURN_IF_ERROR(LoadFeed(*state, last));
  PALATE_RETURN_IF_ERROR(LoadEpochs(last));

  const Epoch epoch = {epochs_.empty() ? last + 1 : last + 1 + kEpochGap, last};
  storage::FeedEpochRecord record;
  record.set_start(epoch.start);
  record.set_previous_last(epoch.previous_last);
  rocksdb::WriteBatch batch;
  PutRecord(batch, database_.family(kMeta), FeedEpochKey(epoch.start), record);
  PALATE_RETURN_IF_ERROR(database_.Write(batch));

  epochs_.push_back(epoch);
  positions_.Start(epoch.start);
  return absl::OkStatus();
}

absl::Status ChangeLog::LoadFeed(CatalogState& state, int64_t& last) {
  PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> trimmed,
                          database_.Get(kMeta, FeedTrimKey(state.number())));
  if (trimmed.has_value()) {
    PALATE_ASSIGN_OR_RETURN(const int64_t position, DecodeCount(*trimmed));
    state.SetTrimPosition(position);
    last = std::max(last, position);
  }

  CatalogCounts counts;
  PALATE_RETURN_IF_ERROR(
      database_.ScanPrefix(kChanges, CatalogPrefix(state.number()), "", {},
                           [&](absl::string_view key, absl::string_view) -> absl::StatusOr<bool> {
                             uint32_t number = 0;
                             int64_t position = 0;
                             if (!ParseChangeKey(key, number, position))
                               return absl::DataLossError("a stored change has a damaged key");
                             last = std::max(last, position);
                             ++counts.feed_entries;
                             return true;
                           }));
  state.AddCounts(counts);
  return absl::OkStatus();
}

absl::Status ChangeLog::LoadEpochs(int64_t& last) {
  return database_.ScanPrefix(
      kMeta, kFeedEpochPrefix, "", {},
      [&](absl::string_view, absl::string_view value) -> absl::StatusOr<bool> {
        PALATE_ASSIGN_OR_RETURN(const auto record,
                                ParseRecord<storage::FeedEpochRecord>(value, "feed epoch"));
        epochs_.push_back({record.start(), record.previous_last()});
        last = std::max(last, record.start() - 1);
        return true;
      });
}

bool ChangeLog::LostBehind(int64_t position) const {
  for (const Epoch& epoch : epochs_) {
    // start - 1 is what a reader of this very epoch holds before its first entry.
    if (epoch.start > position) return position > epoch.previous_last && position < epoch.start - 1;
  }
  return position > positions_.watermark();
}

void ChangeLog::Add(rocksdb::WriteBatch& batch, uint32_t catalog, int64_t position, ChangeKind kind,
                    absl::string_view key, int64_t revision) const {
  storage::ChangeRecord record;
  record.set_kind(ToRecord(kind));
  record.set_key(std::string(key));
  record.set_revision(revision);
  record.set_time_us(ToMicros(options_.clock->Now()));
  PutRecord(batch, database_.family(kChanges), ChangeKey(catalog, position), record);
}

void ChangeLog::TrimIfLong(CatalogState& state) {
  const int64_t slack = std::max<int64_t>(1, options_.feed_max_entries / kTrimSlackShare);
  if (state.counts().feed_entries <= options_.feed_max_entries + slack) return;
  // The caller's write is done and acknowledged even when the trim fails; the next write tries
  // again.
  (void)Trim(state);
}

absl::Status ChangeLog::Trim(CatalogState& state) {
  MutexLock lock(trim_mutex_);
  if (!state.CheckNotDeleted().ok()) return absl::OkStatus();

  const int64_t watermark = positions_.watermark();
  int64_t excess = state.counts().feed_entries - options_.feed_max_entries;
  const int64_t oldest_us = ToMicros(options_.clock->Now() - options_.feed_max_age);
  int64_t cut = 0;
  CatalogCounts removed;
  PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
      kChanges, CatalogPrefix(state.number()), ChangeKey(state.number(), state.trim_position() + 1),
      {}, [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        uint32_t number = 0;
        int64_t position = 0;
        if (!ParseChangeKey(key, number, position))
          return absl::DataLossError("a stored change has a damaged key");
        PALATE_ASSIGN_OR_RETURN(const auto record,
                                ParseRecord<storage::ChangeRecord>(value, "change"));
        if (position > watermark || (excess <= 0 && record.time_us() >= oldest_us)) return false;
        cut = position;
        --removed.feed_entries;
        --excess;
        return true;
      }));
  if (removed.feed_entries == 0) return absl::OkStatus();

  // Readers compare their position with this after their scan, so that none skips the gap unseen.
  state.SetTrimPosition(cut);
  rocksdb::WriteBatch batch;
  batch.DeleteRange(database_.family(kChanges), CatalogPrefix(state.number()),
                    ChangeKey(state.number(), cut + 1));
  batch.Put(database_.family(kMeta), FeedTrimKey(state.number()), EncodeCount(cut));
  PALATE_RETURN_IF_ERROR(database_.Write(batch));
  state.AddCounts(removed);
  return absl::OkStatus();
}

}  // namespace palate::featurestore
