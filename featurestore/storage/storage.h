// What the stores of catalogs, items and users share: the database, the open catalogs and the
// change log, with their one order of opening and closing.
//
// Thread-safe once Load() has returned.
//
// Lock order, over all of featurestore/: the database's close lock; CatalogStore's admin mutex or a
// catalog's spaces mutex; the catalog's lifecycle lock; UserStore's purge mutex; item locks; blob
// locks (or user locks); then the short inner mutexes, the change log's trim mutex first.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "featurestore/options.h"
#include "featurestore/storage/catalog_registry.h"
#include "featurestore/storage/change_log.h"
#include "featurestore/storage/database.h"

namespace palate::featurestore {

class Storage {
 public:
  // Opens the database. Its format may be an older one: bring it up to date (migrate.h), then call
  // Load().
  static absl::StatusOr<std::unique_ptr<Storage>> Open(StoreOptions options);
  ~Storage();  // closes
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  // Reads the catalogs and starts the feed.
  absl::Status Load();
  // Wakes readers of the feed, waits for running calls and closes the database. Idempotent.
  absl::Status Close();

  const StoreOptions& options() const { return options_; }
  Database& database() { return *database_; }
  CatalogRegistry& catalogs() { return catalogs_; }
  ChangeLog& changes() { return changes_; }

 private:
  Storage(StoreOptions options, std::unique_ptr<Database> database);

  const StoreOptions options_;
  const std::unique_ptr<Database> database_;
  CatalogRegistry catalogs_;
  ChangeLog changes_;
};

}  // namespace palate::featurestore
