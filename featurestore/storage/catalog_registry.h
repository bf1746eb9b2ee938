// The open catalogs by id, and how a call enters one.
//
// Thread-safe. Borrows the database, which outlives it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "featurestore/storage/catalog_state.h"
#include "featurestore/storage/database.h"
#include "featurestore/storage/keys.h"
#include "featurestore/storage/locks.h"

namespace palate::featurestore {

// Keeps the store open and gives the catalog.
struct ReadAccess {
  SharedHold open;
  std::shared_ptr<CatalogState> state;
};

// Keeps the catalog from being deleted and its models from changing as well.
struct WriteAccess {
  SharedHold open;
  std::shared_ptr<CatalogState> state;
  SharedHold alive;  // the catalog's lifecycle lock; released before `state` and `open`
  std::shared_ptr<const Catalog> catalog;
};

class CatalogRegistry {
 public:
  explicit CatalogRegistry(Database& database) : database_(database) {}

  // Reads every stored catalog. Called once, before any other method.
  absl::Status Load();

  // NOT_FOUND for an unknown catalog; UNAVAILABLE when the store is closed.
  absl::StatusOr<ReadAccess> BeginRead(absl::string_view catalog)
      ABSL_LOCKS_EXCLUDED(catalogs_mutex_);
  absl::StatusOr<WriteAccess> BeginWrite(absl::string_view catalog)
      ABSL_LOCKS_EXCLUDED(catalogs_mutex_);
  // "" is the feed of catalogs.
  absl::StatusOr<ReadAccess> BeginReadFeed(absl::string_view catalog)
      ABSL_LOCKS_EXCLUDED(catalogs_mutex_);

  // By id.
  std::vector<std::shared_ptr<CatalogState>> All() const ABSL_LOCKS_EXCLUDED(catalogs_mutex_);
  CatalogState& catalog_feed() const { return *catalog_feed_; }

  // After the commit.
  void Add(std::shared_ptr<CatalogState> state) ABSL_LOCKS_EXCLUDED(catalogs_mutex_);
  void Remove(const std::string& id) ABSL_LOCKS_EXCLUDED(catalogs_mutex_);

 private:
  absl::Status LoadCounts(CatalogState& state) const;
  absl::Status LoadSpaces(CatalogState& state) const;

  Database& database_;
  const std::shared_ptr<CatalogState> catalog_feed_ =
      std::make_shared<CatalogState>(kCatalogFeed, "");
  mutable Mutex catalogs_mutex_;
  std::map<std::string, std::shared_ptr<CatalogState>, std::less<>> catalogs_
      ABSL_GUARDED_BY(catalogs_mutex_);
};

}  // namespace palate::featurestore
