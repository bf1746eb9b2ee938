// Reads items with the vectors and pictures that were asked for, from one snapshot. Private to
// featurestore/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "featurestore/storage/catalog_state.h"
#include "featurestore/storage/database.h"
#include "featurestore/storage/item_record_cache.h"
#include "featurestore/types.h"

namespace palate::featurestore {

// Thread-safe. Borrows everything it is given.
class StoredItemReader {
 public:
  // INVALID_ARGUMENT when an option names a space that the catalog does not declare.
  static absl::StatusOr<StoredItemReader> Create(const Database& database, ItemRecordCache& cache,
                                                 const CatalogState& state,
                                                 const ItemReadOptions& options,
                                                 const rocksdb::ReadOptions& read);

  // By element; absent for unknown ids. Image bytes are not read here.
  absl::StatusOr<std::vector<std::optional<StoredItem>>> Read(
      const std::vector<std::string>& ids) const;

  // The same through the cache of decoded items, as committed now instead of as of the snapshot.
  absl::StatusOr<std::vector<std::optional<StoredItem>>> ReadCached(
      const std::vector<std::string>& ids) const;

  // Vectors of items that are known, appended to `items`.
  absl::Status AddVectors(const std::vector<StoredItem*>& items) const;

  // The failed parts of items that are known. Without any in the catalog nothing is read.
  absl::Status AddFailedParts(const std::vector<StoredItem*>& items) const;

  // Fills in image_bytes.
  absl::Status AddImages(StoredItem& item) const;
  static int64_t ImageBytes(const Item& item);

 private:
  StoredItemReader(const Database& database, ItemRecordCache& cache, const CatalogState& state,
                   const rocksdb::ReadOptions& read)
      : database_(database), cache_(cache), state_(state), catalog_(state.number()), read_(read) {}

  const Database& database_;
  ItemRecordCache& cache_;
  const CatalogState& state_;
  const uint32_t catalog_;
  const rocksdb::ReadOptions read_;
  std::vector<SpaceKey> spaces_;
};

}  // namespace palate::featurestore
