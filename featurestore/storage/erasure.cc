#include "featurestore/storage/erasure.h"

#include <filesystem>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "featurestore/storage/keys.h"
#include "featurestore/storage/rocksdb_status.h"

namespace palate::featurestore {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr absl::Duration kPoll = absl::Milliseconds(1);

// A reader keeps the deleted rows of its snapshot in use. Reads are short, so this waits for them.
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

// RocksDB deletes replaced files in the background, and not while an iterator reads them. Waits
// until the logs from before the flush are gone, and all other present files that are neither in
// use now nor become so (the output of a compaction that runs meanwhile).
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

// Compacts `prefix` down to the last level; an empty prefix means the whole family.
absl::Status Compact(Database& database, Family family, const std::string& prefix) {
  rocksdb::CompactRangeOptions compact;
  compact.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  compact.exclusive_manual_compaction = true;  // no other compaction carries the rows past it
  const std::string end = PrefixEnd(prefix);
  const rocksdb::Slice begin_slice(prefix);
  const rocksdb::Slice end_slice(end);
  return FromRocksDb(database.rocksdb().CompactRange(compact, database.family(family),
                                                     prefix.empty() ? nullptr : &begin_slice,
                                                     prefix.empty() ? nullptr : &end_slice),
                     "compacting");
}

}  // namespace

absl::Status EraseDeletedRows(Database& database, absl::Span<const Family> families,
                              const std::vector<std::string>& prefixes,
                              absl::string_view pending_key) {
  rocksdb::DB& db = database.rocksdb();
  const std::set<std::string> before = DataFiles(database.state_dir());
  std::vector<rocksdb::ColumnFamilyHandle*> all;
  for (int i = 0; i < kNumFamilies; ++i) all.push_back(database.family(static_cast<Family>(i)));
  PALATE_RETURN_IF_ERROR(FromRocksDb(db.Flush(rocksdb::FlushOptions(), all), "flushing"));
  PALATE_RETURN_IF_ERROR(WaitForOlderSnapshots(db, db.GetLatestSequenceNumber()));

  for (const Family family : families) {
    if (prefixes.empty()) PALATE_RETURN_IF_ERROR(Compact(database, family, ""));
    for (const std::string& prefix : prefixes)
      PALATE_RETURN_IF_ERROR(Compact(database, family, prefix));
  }

  rocksdb::WriteBatch batch;
  batch.Delete(database.family(kMeta), ToSlice(pending_key));
  PALATE_RETURN_IF_ERROR(database.Write(batch));
  // The flush writes a manifest that begins with the files as they are now.
  PALATE_RETURN_IF_ERROR(
      FromRocksDb(db.Flush(rocksdb::FlushOptions(), database.family(kMeta)), "flushing"));

  // Makes RocksDB look through the whole directory for files that nothing refers to, because it
  // does not keep track of logs that were recovered at the last Open.
  PALATE_RETURN_IF_ERROR(FromRocksDb(db.DisableFileDeletions(), "deleting replaced files"));
  PALATE_RETURN_IF_ERROR(
      FromRocksDb(db.EnableFileDeletions(/*force=*/true), "deleting replaced files"));
  return WaitForReplacedFiles(db, database.state_dir(), before);
}

}  // namespace palate::featurestore
