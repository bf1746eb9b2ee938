// PurgeUser: one atomic batch that removes every row of a user, then the rewriting of files until
// none holds the user's id.
//
// RocksDB keeps deleted keys in logs, in tables until they are compacted, and in manifests as
// bounds of table files. So: flush (logs go), wait for readers of older snapshots, compact the
// user's range down to the last level, and write a new manifest (open.cc sets the size limit that
// makes every change do so).
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "featurestore/feature_store.h"
#include "featurestore/storage/rocksdb_status.h"
#include "featurestore/storage/store_core.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
namespace {

constexpr Family kUserFamilies[] = {kUsers, kEvents, kImpressions, kIdempotence};
constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr absl::Duration kPoll = absl::Milliseconds(1);

// What the user's rows add to counters, to be taken back.
struct Contribution {
  PurgeReport report;
  bool exists = false;
  std::vector<PopularityDelta> popularity;
};

absl::StatusOr<Contribution> ReadContribution(const StoreCore& core, const std::string& prefix) {
  Contribution contribution;
  PALATE_RETURN_IF_ERROR(core.ScanPrefix(
      kEvents, prefix, "", {},
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        int64_t time_us = 0;
        key.remove_prefix(prefix.size());
        if (!ConsumeInvertedTime(key, time_us))
          return absl::DataLossError("a stored event has a damaged key");
        PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::EventRecord>(value, "event"));
        ++contribution.report.events;
        if (record.popularity_micros() != 0) {
          contribution.popularity.push_back({std::move(*record.mutable_item_id()),
                                             PopularityBucket(time_us),
                                             -record.popularity_micros()});
        }
        return true;
      }));
  PALATE_RETURN_IF_ERROR(
      core.ScanPrefix(kImpressions, prefix, "", {}, [&](absl::string_view, absl::string_view) {
        ++contribution.report.impressions;
        return true;
      }));
  PALATE_ASSIGN_OR_RETURN(const auto profile, core.Get(kUsers, ProfileKey(prefix)));
  PALATE_ASSIGN_OR_RETURN(const auto aggregate, core.Get(kUsers, AggregateKey(prefix)));
  contribution.report.had_profile = profile.has_value();
  contribution.exists = profile.has_value() || aggregate.has_value();
  return contribution;
}

// Removes the rows and takes back the counters, in one batch with the feed entry and the note that
// files are still to be cleaned.
absl::StatusOr<PurgeReport> DeleteRows(StoreCore& core, CatalogState& state,
                                       absl::string_view user_id, const std::string& prefix) {
  const LockTable::Hold held(core.user_locks, {prefix});
  PALATE_ASSIGN_OR_RETURN(const Contribution contribution, ReadContribution(core, prefix));
  rocksdb::WriteBatch batch;
  for (const Family family : kUserFamilies)
    batch.DeleteRange(core.family(family), prefix, PrefixEnd(prefix));
  rocksdb::ColumnFamilyHandle* counters = core.family(kCounters);
  for (const PopularityDelta& delta : contribution.popularity) {
    batch.Merge(counters,
                TimedItemKey(state.number, CounterTag::kPopularity, delta.bucket_us, delta.item_id),
                EncodeCount(delta.micros));
  }
  batch.Merge(counters, CounterPrefix(state.number, CounterTag::kEvents),
              EncodeCount(-contribution.report.events));
  if (contribution.exists)
    batch.Merge(counters, CounterPrefix(state.number, CounterTag::kUsers), EncodeCount(-1));
  batch.Put(core.family(kMeta), ToSlice(kPurgePendingKey), "");
  const auto reservation = core.feed.Reserve(1);
  core.AddChange(batch, state.number, reservation->first(), ChangeKind::kUserPurged,
                 UserFeedKey(state.id, user_id), reservation->first());
  PALATE_RETURN_IF_ERROR(core.Write(batch));
  ++state.feed_entries;
  state.events -= contribution.report.events;
  state.users -= contribution.exists ? 1 : 0;
  state.trending.ApplyEvents(contribution.popularity);
  return contribution.report;
}

// Readers keep what they see alive; theirs are short, so they are waited for.
absl::Status WaitForOlderSnapshots(rocksdb::DB& db, uint64_t sequence) {
  const absl::Time give_up = absl::Now() + kPatience;
  while (true) {
    uint64_t oldest = 0;
    if (!db.GetIntProperty(rocksdb::DB::Properties::kOldestSnapshotSequence, &oldest) ||
        oldest == 0 || oldest >= sequence) {
      return absl::OkStatus();
    }
    if (absl::Now() > give_up)
      return absl::UnavailableError(
          "a reader keeps deleted rows in use; the purge must be repeated");
    absl::SleepFor(kPoll);
  }
}

bool IsDataFile(absl::string_view name) {
  return absl::EndsWith(name, ".sst") || absl::EndsWith(name, ".blob") ||
         absl::EndsWith(name, ".log") || absl::StartsWith(name, "MANIFEST-");
}

std::set<std::string> DataFiles(const std::string& dir) {
  std::set<std::string> names;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(dir, error)) {
    std::string name = file.path().filename().string();
    if (IsDataFile(name)) names.insert(std::move(name));
  }
  return names;
}

absl::StatusOr<std::set<std::string>> LiveFiles(rocksdb::DB& db) {
  std::vector<std::string> names;
  uint64_t manifest_bytes = 0;
  PALATE_RETURN_IF_ERROR(FromRocksDb(
      db.GetLiveFiles(names, &manifest_bytes, /*flush_memtable=*/false), "listing files"));
  std::set<std::string> live;
  for (const std::string& name : names)
    live.insert(std::filesystem::path(name).filename().string());
  return live;
}

// Replaced files are deleted in the background, and not while an iterator reads them. Logs of
// before the flush go; of all other files those go that are neither in use now nor become so (the
// output of a compaction that runs beside).
absl::Status WaitForReplacedFiles(rocksdb::DB& db, const std::string& dir,
                                  const std::set<std::string>& before) {
  const absl::Time give_up = absl::Now() + kPatience;
  std::set<std::string> waiting = DataFiles(dir);
  while (true) {
    PALATE_ASSIGN_OR_RETURN(const std::set<std::string> live, LiveFiles(db));
    const std::set<std::string> present = DataFiles(dir);
    std::erase_if(waiting, [&](const std::string& name) {
      const bool new_log = absl::EndsWith(name, ".log") && !before.contains(name);
      return new_log || live.contains(name) || !present.contains(name);
    });
    if (waiting.empty()) return absl::OkStatus();
    if (absl::Now() > give_up) {
      return absl::UnavailableError(absl::StrCat("replaced files are still in use, ",
                                                 *waiting.begin(),
                                                 " among them; the purge must be repeated"));
    }
    absl::SleepFor(kPoll);
  }
}

}  // namespace

absl::Status StoreCore::EraseTraces(const std::vector<std::string>& prefixes) {
  const std::set<std::string> before = DataFiles(state_dir());
  std::vector<rocksdb::ColumnFamilyHandle*> all(handles_.begin(), handles_.end());
  PALATE_RETURN_IF_ERROR(FromRocksDb(db_->Flush(rocksdb::FlushOptions(), all), "flushing"));
  PALATE_RETURN_IF_ERROR(WaitForOlderSnapshots(*db_, db_->GetLatestSequenceNumber()));
  rocksdb::CompactRangeOptions compact;
  compact.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  compact.exclusive_manual_compaction = true;  // no other compaction carries the rows past it
  for (const Family family : kUserFamilies) {
    if (prefixes.empty()) {
      PALATE_RETURN_IF_ERROR(FromRocksDb(
          db_->CompactRange(compact, handles_[family], nullptr, nullptr), "compacting"));
    }
    for (const std::string& prefix : prefixes) {
      const std::string end = PrefixEnd(prefix);
      const rocksdb::Slice begin_slice(prefix);
      const rocksdb::Slice end_slice(end);
      PALATE_RETURN_IF_ERROR(FromRocksDb(
          db_->CompactRange(compact, handles_[family], &begin_slice, &end_slice), "compacting"));
    }
  }
  rocksdb::WriteBatch batch;
  batch.Delete(handles_[kMeta], ToSlice(kPurgePendingKey));
  PALATE_RETURN_IF_ERROR(Write(batch));
  // The flush writes a manifest that begins with the files as they are now.
  PALATE_RETURN_IF_ERROR(
      FromRocksDb(db_->Flush(rocksdb::FlushOptions(), handles_[kMeta]), "flushing"));
  // Has the whole directory looked through for files that nothing refers to: logs that were
  // recovered at the last Open are not kept count of.
  PALATE_RETURN_IF_ERROR(FromRocksDb(db_->DisableFileDeletions(), "deleting replaced files"));
  PALATE_RETURN_IF_ERROR(
      FromRocksDb(db_->EnableFileDeletions(/*force=*/true), "deleting replaced files"));
  return WaitForReplacedFiles(*db_, state_dir(), before);
}

absl::StatusOr<PurgeReport> FeatureStore::PurgeUser(absl::string_view catalog,
                                                    absl::string_view user_id) {
  PALATE_ASSIGN_OR_RETURN(auto access, core_->BeginWrite(catalog));
  PALATE_RETURN_IF_ERROR(ValidateId("user_id", user_id, core_->options.limits));
  MutexLock one_at_a_time(core_->purge_mutex);
  const std::string prefix = UserPrefix(access.state->number, user_id);
  PALATE_ASSIGN_OR_RETURN(const PurgeReport report,
                          DeleteRows(*core_, *access.state, user_id, prefix));
  access.alive.Release();
  PALATE_RETURN_IF_ERROR(core_->EraseTraces({prefix}));
  return report;
}

}  // namespace palate::featurestore
