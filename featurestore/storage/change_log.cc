#include "featurestore/storage/change_log.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace palate::featurestore {
namespace {

// Room between the positions of two Opens: larger than what a power loss can take back under
// relaxed durability.
constexpr int64_t kEpochGap = int64_t{1} << 20;
// Trimming starts when the feed has grown past its bound by this share, so that it runs once in a
// while and not at every write.
constexpr int64_t kTrimSlackShare = 16;

uint64_t RandomIncarnation() {
  std::random_device entropy;
  uint64_t incarnation = 0;
  while (incarnation == 0) incarnation = (uint64_t{entropy()} << 32) | entropy();
  return incarnation;
}

}  // namespace

ChangeLog::ChangeLog(Database& database, const StoreOptions& options)
    : database_(database), options_(options) {}

absl::Status ChangeLog::Start(const CatalogRegistry& catalogs) {
  int64_t last = 0;
  PALATE_RETURN_IF_ERROR(LoadFeed(catalogs.catalog_feed(), last));
  for (const std::shared_ptr<CatalogState>& state : catalogs.All())
    PALATE_RETURN_IF_ERROR(LoadFeed(*state, last));
  PALATE_RETURN_IF_ERROR(LoadEpochs(last));

  const Epoch epoch = {.start = epochs_.empty() ? last + 1 : last + 1 + kEpochGap,
                       .previous_last = last,
                       .incarnation = RandomIncarnation()};
  storage::FeedEpochRecord record;
  record.set_start(epoch.start);
  record.set_previous_last(epoch.previous_last);
  record.set_incarnation(epoch.incarnation);
  rocksdb::WriteBatch batch;
  PutRecord(batch, database_.family(kMeta), FeedEpochKey(epoch.start), record);
  // Synced, so that no token of this epoch outlives the record of its end.
  PALATE_RETURN_IF_ERROR(database_.WriteSynced(batch));

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
        epochs_.push_back({.start = record.start(),
                           .previous_last = record.previous_last(),
                           .incarnation = record.incarnation()});
        last = std::max(last, record.start() - 1);
        return true;
      });
}

std::string ChangeLog::incarnation_name() const {
  return absl::StrCat(absl::Hex(incarnation(), absl::kZeroPad16));
}

bool ChangeLog::Holds(uint64_t incarnation, int64_t position) const {
  // A token of an older version, whose epochs cannot be told apart.
  if (incarnation == 0) return false;
  const auto epoch = std::find_if(epochs_.begin(), epochs_.end(), [&](const Epoch& candidate) {
    return candidate.incarnation == incarnation;
  });
  if (epoch == epochs_.end()) return false;

  const auto next = std::next(epoch);
  return position <= (next == epochs_.end() ? positions_.watermark() : next->previous_last);
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
