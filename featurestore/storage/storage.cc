#include "featurestore/storage/storage.h"

#include <utility>

#include "base/status.h"

namespace palate::featurestore {

Storage::Storage(StoreOptions options, std::unique_ptr<Database> database)
    : options_(std::move(options)),
      database_(std::move(database)),
      catalogs_(*database_),
      changes_(*database_, options_) {}

Storage::~Storage() { (void)Close(); }

absl::StatusOr<std::unique_ptr<Storage>> Storage::Open(StoreOptions options) {
  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(options));
  return std::unique_ptr<Storage>(new Storage(std::move(options), std::move(database)));
}

absl::Status Storage::Load() {
  PALATE_RETURN_IF_ERROR(catalogs_.Load());
  return changes_.Start(catalogs_);
}

absl::Status Storage::Close() {
  database_->RefuseCalls();
  changes_.positions().Close();
  return database_->Close();
}

}  // namespace palate::featurestore
