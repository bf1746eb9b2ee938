// The feature store's RocksDB database: its directory, its column families, and the reads and
// writes that everything above is made of.
//
// Thread-safe. Whoever reads or writes holds the result of Enter() meanwhile, so that Close() waits
// for it; reads and writes do not check. Every status comes from FromRocksDb (rocksdb_status.h), or
// is DATA_LOSS for a record that cannot be parsed.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/snapshot.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "featurestore/options.h"
#include "featurestore/storage/directory_lock.h"
#include "featurestore/storage/locks.h"
#include "featurestore/storage/record_codec.h"

namespace palate::featurestore {

enum Family : int {
  kMeta,
  kCatalogs,
  kItems,
  kUsers,
  kEvents,
  kVectors,
  kBlobs,
  kCounters,
  kChanges,
  kImpressions,
  kIdempotence,
  kNumbers,
  kNumFamilies,
};
// The column family's name on disk.
absl::string_view FamilyName(Family family);

// The distribution's absl::string_view is not std::string_view.
inline rocksdb::Slice ToSlice(absl::string_view text) {
  return rocksdb::Slice(text.data(), text.size());
}
inline absl::string_view ToView(const rocksdb::Slice& slice) {
  return absl::string_view(slice.data(), slice.size());
}

class Database {
 public:
  // Opens or creates the database in DIR/state, takes the directory's lock, and verifies the
  // checksums of a small one. The errors are those of FeatureStore::Open.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const StoreOptions& options);
  ~Database();  // closes
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Keeps the database open while held. UNAVAILABLE once RefuseCalls() was called.
  absl::StatusOr<SharedHold> Enter();
  void RefuseCalls() { closing_ = true; }
  // Refuses calls, waits for the holders of Enter() and releases the directory. Idempotent.
  absl::Status Close();

  rocksdb::ColumnFamilyHandle* family(Family family) const { return handles_[family]; }
  rocksdb::DB& rocksdb() const { return *db_; }
  const std::string& dir() const { return dir_; }              // as in StoreOptions
  const std::string& state_dir() const { return state_dir_; }  // RocksDB's own, inside dir()
  // DATA_LOSS: what is wrong with the database, and what the operator can do about it.
  absl::Status Damaged(absl::string_view what) const;

  // Commits with the store's durability.
  absl::Status Write(rocksdb::WriteBatch& batch);
  // Commits without waiting for the disk. The log keeps the order of writes, so that a power
  // failure that loses this one also loses every later Write().
  absl::Status WriteUnsynced(rocksdb::WriteBatch& batch);
  // Commits and syncs, whatever the store's durability.
  absl::Status WriteSynced(rocksdb::WriteBatch& batch);
  // Absent when there is no such row.
  absl::StatusOr<std::optional<std::string>> Get(Family family, absl::string_view key,
                                                 const rocksdb::ReadOptions& options = {}) const;
  template <typename Record>
  absl::StatusOr<std::optional<Record>> GetRecord(Family family, absl::string_view key,
                                                  const rocksdb::ReadOptions& options = {}) const {
    absl::StatusOr<std::optional<std::string>> bytes = Get(family, key, options);
    if (!bytes.ok()) return bytes.status();
    if (!bytes->has_value()) return std::optional<Record>();

    absl::StatusOr<Record> record = ParseRecord<Record>(**bytes, FamilyName(family));
    if (!record.ok()) return record.status();
    return std::optional<Record>(*std::move(record));
  }
  // One read for many rows of one family, by element.
  absl::StatusOr<std::vector<std::optional<rocksdb::PinnableSlice>>> MultiGet(
      Family family, const std::vector<std::string>& keys,
      const rocksdb::ReadOptions& options = {}) const;
  template <typename Record>
  absl::StatusOr<std::vector<std::optional<Record>>> MultiGetRecords(
      Family family, const std::vector<std::string>& keys,
      const rocksdb::ReadOptions& options = {}) const {
    auto rows = MultiGet(family, keys, options);
    if (!rows.ok()) return rows.status();

    std::vector<std::optional<Record>> records(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (!(*rows)[i].has_value()) continue;
      absl::StatusOr<Record> record = ParseRecord<Record>(ToView(*(*rows)[i]), FamilyName(family));
      if (!record.ok()) return record.status();
      records[i] = *std::move(record);
    }
    return records;
  }
  // Calls `visit(key, value)` for each row with `prefix`, from `from` on (a key; "" is the prefix's
  // first), until it returns false.
  using Visitor =
      std::function<absl::StatusOr<bool>(absl::string_view key, absl::string_view value)>;
  absl::Status ScanPrefix(Family family, absl::string_view prefix, absl::string_view from,
                          const rocksdb::ReadOptions& options, const Visitor& visit) const;

  // The last key with `prefix`; absent when there is none.
  absl::StatusOr<std::optional<std::string>> LastKey(Family family, absl::string_view prefix) const;

  // Reads every table. DATA_LOSS names the file.
  absl::Status VerifyChecksums() const;
  int64_t disk_bytes() const;    // tables, blobs and logs
  int64_t memory_bytes() const;  // memtables and the block cache

 private:
  explicit Database(const StoreOptions& options);

  // Creates the database when there is none; `created` says which.
  absl::Status OpenRocksDb(const StoreOptions& options, bool& created);
  absl::Status CheckFamilies(const rocksdb::DBOptions& database) const;

  const std::string dir_;
  const std::string state_dir_;
  const Durability durability_;
  DirectoryLock directory_lock_;

  RwLock close_lock_;
  std::atomic<bool> closing_ = false;
  // Set by Open() and reset by Close() under the exclusive side of close_lock_; everybody else uses
  // them under the shared side.
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, kNumFamilies> handles_ = {};
  rocksdb::ColumnFamilyHandle* default_handle_ = nullptr;
};

// The rows as of one moment, for the length of a call. Borrows the database.
class Snapshot {
 public:
  explicit Snapshot(const Database& database) : snapshot_(&database.rocksdb()) {
    read_.snapshot = snapshot_.snapshot();
  }
  const rocksdb::ReadOptions& read() const { return read_; }

 private:
  rocksdb::ManagedSnapshot snapshot_;
  rocksdb::ReadOptions read_;
};

// Protobuf message to row.
template <typename Record>
void PutRecord(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family,
               absl::string_view key, const Record& record) {
  batch.Put(family, rocksdb::Slice(key.data(), key.size()), record.SerializeAsString());
}

}  // namespace palate::featurestore
