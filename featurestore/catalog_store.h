// Catalogs: their declarations, and the removal of all that one holds. Private to featurestore/;
// the public methods are described in feature_store.h.
//
// Thread-safe. Borrows `storage`.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "domain/catalog.h"
#include "featurestore/storage/keys.h"
#include "featurestore/storage/storage.h"
#include "featurestore/types.h"

namespace palate::featurestore {

class CatalogStore {
 public:
  explicit CatalogStore(Storage& storage);

  // Reads the number of the next catalog. Called once, while opening.
  absl::Status Load() ABSL_LOCKS_EXCLUDED(admin_mutex_);

  // As in FeatureStore: CreateCatalog, GetCatalog, UpdateCatalog, ListCatalogs, DeleteCatalog.
  absl::StatusOr<Catalog> Create(const Catalog& catalog) ABSL_LOCKS_EXCLUDED(admin_mutex_);
  absl::StatusOr<Catalog> Get(absl::string_view id);
  absl::StatusOr<Catalog> Update(const Catalog& catalog, const CatalogUpdateMask& mask,
                                 std::optional<int64_t> expected_revision)
      ABSL_LOCKS_EXCLUDED(admin_mutex_);
  absl::StatusOr<CatalogPage> List(int page_size, absl::string_view page_token);
  absl::Status Delete(absl::string_view id) ABSL_LOCKS_EXCLUDED(admin_mutex_);

 private:
  // Adds the catalog's row to the batch, and one entry for the feed of catalogs and one for the
  // catalog's own. `position` is the first of two.
  void PutCatalog(const Catalog& catalog, uint32_t number, int64_t position,
                  rocksdb::WriteBatch& batch) const;
  // After the commit: counts both entries and shows the declarations to readers.
  void Publish(const Catalog& catalog, CatalogState& state);

  Database& database_;
  CatalogRegistry& catalogs_;
  ChangeLog& changes_;
  const StoreOptions& options_;
  Mutex admin_mutex_;  // one catalog comes, changes or goes at a time
  uint32_t next_number_ ABSL_GUARDED_BY(admin_mutex_) = kFirstCatalog;
};

}  // namespace palate::featurestore
