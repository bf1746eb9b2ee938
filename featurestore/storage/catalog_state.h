// One open catalog in memory: its declarations, its vector spaces, the counts of its rows, its
// trending boards, and the two locks that its writers take.
//
// Thread-safe. The registry (catalog_registry.h) and running calls share it; it outlives the
// catalog's deletion until the last call ends. The disk holds the same facts: whoever commits a
// change updates the state after the commit.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "domain/catalog.h"
#include "featurestore/storage/expired_runs.h"
#include "featurestore/storage/item_numbers.h"
#include "featurestore/storage/locks.h"
#include "featurestore/storage/record_codec.h"
#include "featurestore/storage/trending.h"
#include "featurestore/types.h"

namespace palate::featurestore {

// How many rows of each kind a catalog has; also a change to these numbers.
struct CatalogCounts {
  int64_t items = 0;
  int64_t users = 0;
  int64_t events = 0;
  int64_t pending = 0;  // items that wait for vectors
  int64_t failed = 0;   // items that cannot be embedded
  int64_t flawed = 0;   // other items, waiting or not, with parts that failed
  int64_t feed_entries = 0;
};

// Counts the item with the embedding state `row` `times` times, in pending, failed and flawed.
void AddRow(const storage::EmbeddingRecord& row, int64_t times, CatalogCounts& counts);

using SpaceRecords = std::map<std::string, storage::SpaceRecord>;  // by the space's name

class CatalogState {
 public:
  // Number 0 without an id is the feed of catalogs, which has feed entries and nothing else.
  CatalogState(uint32_t number, std::string id);
  CatalogState(const CatalogState&) = delete;
  CatalogState& operator=(const CatalogState&) = delete;

  uint32_t number() const { return number_; }
  const std::string& id() const { return id_; }

  // Shared: a writer, from its first read to its last update of this state. Exclusive: removal,
  // change of models. Readers of a snapshot take neither.
  RwLock& lifecycle() ABSL_LOCK_RETURNED(lifecycle_) { return lifecycle_; }
  // Held through a change of models and the cleaning after a switch-over. Taken before lifecycle().
  Mutex& spaces_mutex() ABSL_LOCK_RETURNED(spaces_mutex_) { return spaces_mutex_; }

  // NOT_FOUND once the catalog has been deleted.
  absl::Status CheckNotDeleted() const ABSL_LOCKS_EXCLUDED(mutex_);
  void MarkDeleted() ABSL_LOCKS_EXCLUDED(mutex_);

  std::shared_ptr<const Catalog> Declarations() const ABSL_LOCKS_EXCLUDED(mutex_);
  void SetDeclarations(Catalog catalog) ABSL_LOCKS_EXCLUDED(mutex_);

  SpaceRecords Spaces() const ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<ActiveSpace> ActiveSpaces() const ABSL_LOCKS_EXCLUDED(mutex_);
  void SetSpaces(SpaceRecords spaces) ABSL_LOCKS_EXCLUDED(mutex_);
  // Changes the spaces in one step: `change` gets a copy, which replaces them when it returns OK.
  // It must not call this object.
  absl::Status UpdateSpaces(const std::function<absl::Status(SpaceRecords&)>& change)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Sets the spaces after another fingerprint became active, and counts the switch.
  void SwitchSpaces(SpaceRecords spaces) ABSL_LOCKS_EXCLUDED(mutex_);
  // Why a space does not switch to its target, by the space's name; shown by ActiveSpaces().
  void SetSwitchRefusals(std::map<std::string, std::string> refusals) ABSL_LOCKS_EXCLUDED(mutex_);
  // Items that kept the spaces from switching when the coverage was last counted.
  std::vector<std::string>& uncovered() ABSL_EXCLUSIVE_LOCKS_REQUIRED(spaces_mutex_) {
    return uncovered_;
  }
  // Switches since the store was opened; part of the item cache's keys.
  int64_t switches() const ABSL_LOCKS_EXCLUDED(mutex_);

  CatalogCounts counts() const ABSL_LOCKS_EXCLUDED(mutex_);
  void AddCounts(const CatalogCounts& delta) ABSL_LOCKS_EXCLUDED(mutex_);
  // How often counts have changed; every write to items or vectors changes it.
  int64_t num_writes() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Takes over `pending` and `flawed`; none has failed.
  void ResetBacklog(const CatalogCounts& counts) ABSL_LOCKS_EXCLUDED(mutex_);

  int64_t newest_event_us() const ABSL_LOCKS_EXCLUDED(mutex_);  // -1: no event yet
  void SawEventAt(int64_t time_us) ABSL_LOCKS_EXCLUDED(mutex_);

  // Feed entries up to here are gone.
  int64_t trim_position() const ABSL_LOCKS_EXCLUDED(mutex_);
  void SetTrimPosition(int64_t position) ABSL_LOCKS_EXCLUDED(mutex_);

  TrendingBoards& trending() { return trending_; }
  ItemNumbers& item_numbers() { return item_numbers_; }
  // Of the rows of fresh items.
  ExpiredRuns& expired_fresh() { return expired_fresh_; }

 private:
  const uint32_t number_;
  const std::string id_;
  RwLock lifecycle_;
  Mutex spaces_mutex_;
  std::vector<std::string> uncovered_ ABSL_GUARDED_BY(spaces_mutex_);
  TrendingBoards trending_;
  ItemNumbers item_numbers_;
  ExpiredRuns expired_fresh_;

  mutable Mutex mutex_;
  bool deleted_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<const Catalog> catalog_ ABSL_GUARDED_BY(mutex_);
  SpaceRecords spaces_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> switch_refusals_ ABSL_GUARDED_BY(mutex_);
  int64_t switches_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t num_writes_ ABSL_GUARDED_BY(mutex_) = 0;
  CatalogCounts counts_ ABSL_GUARDED_BY(mutex_);
  int64_t newest_event_us_ ABSL_GUARDED_BY(mutex_) = -1;
  int64_t trim_position_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace palate::featurestore
