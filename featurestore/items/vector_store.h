// Vectors of items and the state of their embedding. Private to featurestore/; the public methods
// are described in feature_store.h.
//
// Thread-safe. Borrows everything that the constructor gets.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "domain/vector.h"
#include "featurestore/items/item_store.h"
#include "featurestore/items/space_switcher.h"
#include "featurestore/storage/storage.h"
#include "featurestore/types.h"

namespace palate::featurestore {

class VectorStore {
 public:
  VectorStore(Storage& storage, ItemStore& items, SpaceSwitcher& spaces);

  // As in FeatureStore: PutVectors, SetEmbeddingFailure, GetEmbeddingStatus, ListPending,
  // ItemsWithoutActiveVectors, EmbeddingBacklog.
  absl::Status Put(absl::string_view catalog, absl::string_view item_id, int64_t revision,
                   const std::vector<SpaceVector>& vectors, bool complete,
                   const std::vector<PartFailure>& failed_parts);
  absl::Status SetFailure(absl::string_view catalog, absl::string_view item_id, int64_t revision,
                          const absl::Status& failure);
  absl::StatusOr<EmbeddingStatus> GetStatus(absl::string_view catalog, absl::string_view item_id);
  absl::StatusOr<std::vector<StoredItem>> ListPending(absl::string_view catalog, int limit,
                                                      absl::string_view after_item_id,
                                                      int64_t max_image_bytes);
  absl::StatusOr<std::vector<std::string>> WithoutActive(absl::string_view catalog,
                                                         const std::vector<std::string>& item_ids);
  absl::StatusOr<int64_t> Backlog();

 private:
  // Put() between its checks and the switch-over: `vectors` have unit length.
  absl::Status Commit(CatalogState& state, absl::string_view item_id, int64_t revision,
                      const std::vector<SpaceVector>& vectors, bool complete,
                      const std::vector<PartFailure>& failed_parts);
  // Puts the item's row in place of the one that it has. Returns the change to the counts.
  absl::StatusOr<CatalogCounts> ReplaceRow(uint32_t catalog, absl::string_view item_id,
                                           const storage::EmbeddingRecord& row,
                                           rocksdb::WriteBatch& batch) const;
  // Adopts the vectors into the catalog's spaces, in memory and in the batch.
  absl::Status NoteSpaces(CatalogState& state, const std::vector<SpaceVector>& vectors,
                          rocksdb::WriteBatch& batch);
  // The stored item, when vectors or a failure made from `revision` still match its content.
  absl::StatusOr<storage::ItemRecord> CheckRevision(uint32_t catalog, absl::string_view item_id,
                                                    int64_t revision) const;
  // Removes the item's vectors of target fingerprints that are not among `vectors`.
  void DropOthers(const CatalogState& state, absl::string_view item_id,
                  const std::vector<SpaceVector>& vectors, rocksdb::WriteBatch& batch) const;
  // Ids of pending items after `after_item_id`.
  absl::StatusOr<std::vector<std::string>> PendingIds(const CatalogState& state, int limit,
                                                      absl::string_view after_item_id,
                                                      const rocksdb::ReadOptions& read) const;

  Database& database_;
  CatalogRegistry& catalogs_;
  ChangeLog& changes_;
  const StoreOptions& options_;
  ItemStore& items_;
  SpaceSwitcher& spaces_;
};

}  // namespace palate::featurestore
