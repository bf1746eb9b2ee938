// The change feed's writing side: positions, entries and retention. Reading is change_feed.h.
//
// Thread-safe. Borrows the database, which outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "featurestore/options.h"
#include "featurestore/storage/catalog_registry.h"
#include "featurestore/storage/database.h"
#include "featurestore/storage/feed_sequencer.h"
#include "featurestore/types.h"

namespace palate::featurestore {

class ChangeLog {
 public:
  ChangeLog(Database& database, const StoreOptions& options);

  // Finds the feeds' ends, also those of the feed of catalogs, and begins an epoch of positions
  // after them. Called once, before any other method.
  absl::Status Start(const CatalogRegistry& catalogs);

  // Positions for `count` entries, at least 1: see FeedSequencer.
  std::unique_ptr<FeedSequencer::Reservation> Reserve(int64_t count) {
    return positions_.Reserve(count);
  }
  // Adds an entry to the batch. The caller counts it into the catalog's feed_entries after the
  // commit.
  void Add(rocksdb::WriteBatch& batch, uint32_t catalog, int64_t position, ChangeKind kind,
           absl::string_view key, int64_t revision) const;

  // Drops what is past retention.
  absl::Status Trim(CatalogState& state) ABSL_LOCKS_EXCLUDED(trim_mutex_);
  // The same once the feed has grown well past its bound.
  void TrimIfLong(CatalogState& state) ABSL_LOCKS_EXCLUDED(trim_mutex_);

  // Of the epoch that Start() began: random, not 0. A copy of the database that is opened again
  // gets another one, so positions of a history that was lost are not mistaken for present ones.
  uint64_t incarnation() const { return epochs_.back().incarnation; }
  // The same as text.
  std::string incarnation_name() const;
  // Whether the present history has all that a reader at `position` in the epoch of `incarnation`
  // has read. False for an epoch that the database does not know. Trimming is not looked at.
  bool Holds(uint64_t incarnation, int64_t position) const;
  FeedSequencer& positions() { return positions_; }

 private:
  // One past Open: see storage::FeedEpochRecord.
  struct Epoch {
    int64_t start = 0;
    int64_t previous_last = 0;
    uint64_t incarnation = 0;  // 0 in epochs of older versions
  };

  absl::Status LoadFeed(CatalogState& state, int64_t& last);
  absl::Status LoadEpochs(int64_t& last);

  Database& database_;
  const StoreOptions options_;
  FeedSequencer positions_;
  std::vector<Epoch> epochs_;  // by start; not changed after Start()
  Mutex trim_mutex_;           // one trim at a time
};

}  // namespace palate::featurestore
