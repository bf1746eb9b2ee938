// The changes that one call makes to items: what each was, what it becomes, and the rows, feed
// entries and counts that follow.
//
// Used by UpsertItems and DeleteItems. Not thread-safe; the caller holds the items' locks from
// Load() to Committed().
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "domain/item.h"
#include "featurestore/storage/blob_ledger.h"
#include "featurestore/storage/catalog_state.h"
#include "featurestore/storage/item_record_cache.h"
#include "featurestore/storage/storage.h"

namespace palate::featurestore {

// Whether there is anything to make vectors of.
bool IsEmbeddable(const Item& item);
// Equal in all that an embedding is made of.
bool SameContent(const Item& a, const Item& b);
// Equal in all but the revision.
bool SameItem(const Item& a, const Item& b);
Availability AvailabilityOf(const std::optional<Item>& item);

class ItemBatch {
 public:
  // Borrows everything.
  ItemBatch(Storage& storage, ItemRecordCache& cache, CatalogState& state)
      : database_(storage.database()),
        changes_(storage.changes()),
        cache_(cache),
        state_(state),
        blobs_(storage.database(), state.number()) {}

  // Reads the items. Pictures are loaded separately, when their digests are locked.
  absl::Status Load(const std::vector<std::string>& ids);
  // Digests of the pictures that the loaded items show.
  std::vector<std::string> ShownDigests() const;
  BlobLedger& blobs() { return blobs_; }

  // The item as it is after the changes so far. A change made in this batch has no revision yet:
  // kNewRevision.
  const std::optional<Item>& Current(const std::string& id) const { return works_.at(id).now; }
  static constexpr int64_t kNewRevision = -1;

  // Records a change; `now` absent removes the item. The caller updates the blob ledger. Returns
  // the change's number.
  size_t Change(const std::string& id, std::optional<Item> now);
  size_t num_changes() const { return notes_.size(); }

  // Gives every change its revision, writes everything, and updates what is kept in memory. Change
  // n has revision first + n.
  absl::StatusOr<int64_t> Commit();

 private:
  struct Work {
    std::optional<Item> before;
    std::optional<Item> now;
    int64_t content_revision = 0;
    std::optional<size_t> last_change;
    std::optional<size_t> content_change;
    std::optional<storage::EmbeddingRecord> embedding;  // as it was
  };
  struct ChangeNote {
    std::string id;
    ChangeKind kind;
  };

  // Gives a number to every item that is new.
  absl::Status NumberNewItems();
  absl::Status WriteItem(const std::string& id, Work& work, int64_t first,
                         rocksdb::WriteBatch& batch);
  absl::Status WriteEmbeddingState(const std::string& id, const Work& work,
                                   rocksdb::WriteBatch& batch);
  void UpdateMemory();

  Database& database_;
  ChangeLog& changes_;
  ItemRecordCache& cache_;
  CatalogState& state_;
  BlobLedger blobs_;
  std::map<std::string, Work> works_;
  std::vector<ChangeNote> notes_;  // by number
  CatalogCounts delta_;
};

// The row that lists a visible item among the fresh ones.
void PutFresh(rocksdb::WriteBatch& batch, const Database& database, uint32_t catalog,
              const Item& item);

}  // namespace palate::featurestore
