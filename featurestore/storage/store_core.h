// What FeatureStore is made of: the database, the open catalogs, the feed's positions and the
// locks. Private to featurestore/; the methods of FeatureStore are spread over one .cc file per
// subject, each built on this.
//
// Lock order: close lock, a catalog's spaces_mutex, its lifecycle lock, item locks, blob locks (or
// user locks), then the short inner mutexes.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/snapshot.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "domain/catalog.h"
#include "featurestore/options.h"
#include "featurestore/storage/directory_lock.h"
#include "featurestore/storage/feed.h"
#include "featurestore/storage/item_record_cache.h"
#include "featurestore/storage/keys.h"
#include "featurestore/storage/locks.h"
#include "featurestore/storage/record_codec.h"
#include "featurestore/storage/trending.h"
#include "featurestore/types.h"

namespace palate::featurestore {

inline constexpr int kFormatVersion = 2;

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
  kNumFamilies,
};
// The column family's name on disk.
absl::string_view FamilyName(Family family);

// One open catalog. Number 0, without an id, stands for the feed of catalogs.
struct CatalogState {
  CatalogState(uint32_t catalog_number, std::string catalog_id)
      : number(catalog_number), id(std::move(catalog_id)) {}

  const uint32_t number;
  const std::string id;

  // Shared: a writer, from its first read to its last update of the numbers below. Exclusive:
  // removal, change of models, first trending board. Readers of a snapshot take neither.
  RwLock lifecycle;
  std::atomic<bool> deleted = false;

  // What the rows say, kept here so that no reader has to count.
  std::atomic<int64_t> items = 0;
  std::atomic<int64_t> users = 0;
  std::atomic<int64_t> events = 0;
  std::atomic<int64_t> newest_event_us = -1;  // -1: no event yet
  std::atomic<int64_t> pending = 0;
  std::atomic<int64_t> failed = 0;
  std::atomic<int64_t> feed_entries = 0;
  std::atomic<int64_t> trim_position = 0;  // entries up to here are gone
  std::atomic<int64_t> switches =
      0;  // of active fingerprints since the store was opened; part of the item cache's keys

  // Held through a change of models and the cleaning after a switch-over.
  Mutex spaces_mutex;

  mutable Mutex mutex;
  std::shared_ptr<const Catalog> catalog ABSL_GUARDED_BY(mutex);
  std::map<std::string, storage::SpaceRecord> spaces ABSL_GUARDED_BY(mutex);

  TrendingBoards trending;

  std::shared_ptr<const Catalog> Declarations() const {
    MutexLock lock(mutex);
    return catalog;
  }
  std::map<std::string, storage::SpaceRecord> Spaces() const {
    MutexLock lock(mutex);
    return spaces;
  }
  std::vector<ActiveSpace> ActiveSpaces() const;
  void SawEventAt(int64_t time_us);
};

// The distribution's absl::string_view is not std::string_view.
inline rocksdb::Slice ToSlice(absl::string_view text) {
  return rocksdb::Slice(text.data(), text.size());
}
inline absl::string_view ToView(const rocksdb::Slice& slice) {
  return absl::string_view(slice.data(), slice.size());
}

// A view of one moment, held for the length of a call.
class Snapshot {
 public:
  explicit Snapshot(rocksdb::DB& db) : snapshot_(&db) { read_.snapshot = snapshot_.snapshot(); }
  const rocksdb::ReadOptions& read() const { return read_; }

 private:
  rocksdb::ManagedSnapshot snapshot_;
  rocksdb::ReadOptions read_;
};

// What the feed says about one past Open: see storage::FeedEpochRecord.
struct FeedEpoch {
  int64_t start = 0;
  int64_t previous_last = 0;
};

class StoreCore {
 public:
  static absl::StatusOr<std::unique_ptr<StoreCore>> Open(StoreOptions options);
  ~StoreCore();

  absl::Status Close();

  // ---- Entering a call ----

  // Keeps the store open while held. UNAVAILABLE once Close() was called.
  absl::StatusOr<SharedHold> Enter();

  struct ReadAccess {
    SharedHold open;
    std::shared_ptr<CatalogState> state;
  };
  struct WriteAccess {
    SharedHold open;
    std::shared_ptr<CatalogState> state;
    SharedHold alive;  // released before `state` and `open`
    std::shared_ptr<const Catalog> catalog;
  };
  // NOT_FOUND for an unknown catalog.
  absl::StatusOr<ReadAccess> BeginRead(absl::string_view catalog);
  absl::StatusOr<WriteAccess> BeginWrite(absl::string_view catalog);
  // "" is the feed of catalogs.
  absl::StatusOr<ReadAccess> BeginReadFeed(absl::string_view catalog);
  std::vector<std::shared_ptr<CatalogState>> AllCatalogs() const;

  // ---- The database ----

  rocksdb::ColumnFamilyHandle* family(Family family) const { return handles_[family]; }
  rocksdb::DB& db() const { return *db_; }
  std::string state_dir() const;

  // Commits with the store's durability.
  absl::Status Write(rocksdb::WriteBatch& batch);
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

  // The item cache's key of an item, as long as its catalog's active fingerprints stay.
  static std::string CacheKey(const CatalogState& state, int64_t switches,
                              absl::string_view item_id);
  // After the commit of a change to the item or its vectors.
  void ForgetCached(const CatalogState& state, absl::string_view item_id) {
    item_cache.Invalidate(CacheKey(state, state.switches, item_id));
  }

  // Adds a feed entry to the batch. The caller counts it into feed_entries after the commit.
  void AddChange(rocksdb::WriteBatch& batch, uint32_t catalog, int64_t position, ChangeKind kind,
                 absl::string_view key, int64_t revision);

  // ---- Work that several subjects share ----

  absl::Status TrimFeed(CatalogState& state);
  // Trims when a feed has grown past its bound.
  void MaybeTrimFeed(CatalogState& state);
  // Makes target fingerprints active when nothing is pending. Takes spaces_mutex and the lifecycle
  // lock: the caller holds neither.
  absl::Status MaybeSwitchSpaces(CatalogState& state);
  // Removes vectors of fingerprints that are neither active nor target. The caller holds
  // spaces_mutex or nobody else uses the store yet.
  absl::Status DeleteStaleVectors(CatalogState& state);
  // The last step of a purge: see purge.cc. `prefixes`: of the users; empty: everything.
  absl::Status EraseTraces(const std::vector<std::string>& prefixes);
  absl::Status VerifyChecksums() const;

  absl::Time Now() const { return options.clock->Now(); }

  const StoreOptions options;
  FeedSequencer feed;
  mutable ItemRecordCache item_cache;
  LockTable item_locks{32};
  LockTable blob_locks{12};
  LockTable user_locks{32};
  Mutex admin_mutex;  // one catalog comes, changes or goes at a time
  Mutex purge_mutex;  // one purge at a time
  Mutex trim_mutex;   // one trim at a time

  // Whether positions right behind `position` were lost (fixed once open).
  bool LostBehind(int64_t position) const;

  void AddCatalog(std::shared_ptr<CatalogState> state) ABSL_LOCKS_EXCLUDED(catalogs_mutex_);
  void RemoveCatalog(const std::string& id) ABSL_LOCKS_EXCLUDED(catalogs_mutex_);
  // Guarded by admin_mutex.
  uint32_t next_catalog = kFirstCatalog;
  const std::shared_ptr<CatalogState> catalog_feed =
      std::make_shared<CatalogState>(kCatalogFeed, "");

 private:
  explicit StoreCore(StoreOptions store_options);

  absl::Status OpenDatabase();
  absl::Status CheckFormat();
  absl::Status LoadCatalogs();
  absl::Status LoadCatalog(CatalogState& state);
  absl::Status LoadFeedOf(CatalogState& state, int64_t& last);
  absl::Status StartFeed();
  absl::Status FinishInterruptedWork();

  DirectoryLock directory_lock_;
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, kNumFamilies> handles_ = {};
  rocksdb::ColumnFamilyHandle* default_handle_ = nullptr;
  bool created_ = false;

  RwLock close_lock_;
  std::atomic<bool> closing_ = false;

  mutable Mutex catalogs_mutex_;
  std::map<std::string, std::shared_ptr<CatalogState>, std::less<>> catalogs_
      ABSL_GUARDED_BY(catalogs_mutex_);
  std::vector<FeedEpoch> epochs_;  // by start
};

// Protobuf message to row.
template <typename Record>
void PutRecord(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family,
               absl::string_view key, const Record& record) {
  batch.Put(family, rocksdb::Slice(key.data(), key.size()), record.SerializeAsString());
}

// Operands and values of the counters that merge: 8 bytes, big-endian.
std::string EncodeCount(int64_t value);
absl::StatusOr<int64_t> DecodeCount(absl::string_view bytes);

// Opaque page tokens. INVALID_ARGUMENT for bytes that are none.
std::string EncodePageToken(absl::string_view last_id);
absl::StatusOr<std::string> DecodePageToken(absl::string_view token);
// 1 to max_page; 0 becomes max_page.
absl::StatusOr<int> CheckPageSize(int page_size, const StoreLimits& limits);

}  // namespace palate::featurestore
