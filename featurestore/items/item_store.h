// Items: writing, reading and deleting them. Private to featurestore/; the public methods are
// described in feature_store.h.
//
// Thread-safe. Borrows everything that the constructor gets.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "domain/element_failure.h"
#include "featurestore/items/item_write.h"
#include "featurestore/items/space_switcher.h"
#include "featurestore/items/stored_item_reader.h"
#include "featurestore/storage/item_record_cache.h"
#include "featurestore/storage/locks.h"
#include "featurestore/storage/storage.h"
#include "featurestore/types.h"

namespace palate::featurestore {

class ItemStore {
 public:
  ItemStore(Storage& storage, SpaceSwitcher& spaces);

  // As in FeatureStore: UpsertItems, GetItems, DeleteItems, ListItems.
  absl::StatusOr<UpsertItemsResult> Upsert(absl::string_view catalog,
                                           const std::vector<ItemWrite>& writes);
  absl::StatusOr<GetItemsResult> Get(absl::string_view catalog, const std::vector<std::string>& ids,
                                     const ItemReadOptions& options);
  absl::StatusOr<std::vector<ElementFailure>> Delete(absl::string_view catalog,
                                                     const std::vector<std::string>& ids);
  absl::StatusOr<ItemPage> List(absl::string_view catalog, int page_size,
                                absl::string_view page_token, const ItemReadOptions& options);

  // ---- For the other classes of featurestore/ that read or write items ----

  // A reader of the catalog's items as of the snapshot in `read`.
  absl::StatusOr<StoredItemReader> Reader(const CatalogState& state, const ItemReadOptions& options,
                                          const rocksdb::ReadOptions& read);
  // One lock per item id: held from the first read to the last update after the commit by whoever
  // changes the item, its vectors or its embedding state.
  LockTable& locks() { return item_locks_; }
  // After the commit of a change to the item or its vectors.
  void ForgetCached(const CatalogState& state, absl::string_view item_id);
  int64_t cache_bytes() const { return cache_.size_bytes(); }

 private:
  // Applies the prepared writes under the locks of the items `ids` and of their pictures.
  absl::StatusOr<UpsertItemsResult> Write(CatalogState& state, const std::vector<ItemWrite>& writes,
                                          std::vector<PreparedItemWrite>& prepared,
                                          const std::vector<std::string>& ids,
                                          std::vector<std::string> digests);

  // Ids of items with failed parts after `after`.
  absl::StatusOr<std::vector<std::string>> FailingIds(const CatalogState& state, size_t limit,
                                                      const std::string& after,
                                                      const rocksdb::ReadOptions& read) const;
  // A page of these items.
  absl::StatusOr<ItemPage> ListFailing(const CatalogState& state, const StoredItemReader& reader,
                                       int limit, const std::string& after, bool image_bytes,
                                       const rocksdb::ReadOptions& read) const;

  Database& database_;
  CatalogRegistry& catalogs_;
  ChangeLog& changes_;
  const StoreOptions& options_;
  Storage& storage_;
  SpaceSwitcher& spaces_;
  ItemRecordCache cache_;
  LockTable item_locks_{32};
  LockTable blob_locks_{12};  // by digest
};

}  // namespace palate::featurestore
