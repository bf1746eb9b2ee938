#include "featurestore/feature_store.h"

#include <filesystem>
#include <utility>

#include "base/status.h"
#include "featurestore/storage/store_core.h"

namespace palate::featurestore {

FeatureStore::FeatureStore(std::unique_ptr<StoreCore> core) : core_(std::move(core)) {}

FeatureStore::~FeatureStore() = default;

absl::StatusOr<std::unique_ptr<FeatureStore>> FeatureStore::Open(StoreOptions options) {
  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<StoreCore> core, StoreCore::Open(std::move(options)));
  return std::unique_ptr<FeatureStore>(new FeatureStore(std::move(core)));
}

absl::Status FeatureStore::Close() { return core_->Close(); }

absl::StatusOr<StoreStats> FeatureStore::GetStats() const {
  PALATE_ASSIGN_OR_RETURN(const SharedHold open, core_->Enter());
  StoreStats stats;
  stats.format_version = kFormatVersion;
  for (const std::shared_ptr<CatalogState>& state : core_->AllCatalogs()) {
    CatalogStats catalog;
    catalog.catalog = state->id;
    catalog.items = state->items;
    catalog.users = state->users;
    catalog.events = state->events;
    catalog.embedding_backlog = state->pending;
    catalog.embedding_failed = state->failed;
    catalog.feed_entries = state->feed_entries;
    catalog.spaces = state->ActiveSpaces();
    stats.catalogs.push_back(std::move(catalog));
  }
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(core_->state_dir(), error)) {
    std::error_code file_error;
    const auto bytes = file.file_size(file_error);
    if (!file_error) stats.disk_bytes += static_cast<int64_t>(bytes);
  }
  uint64_t bytes = 0;
  if (core_->db().GetAggregatedIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &bytes)) {
    stats.memory_bytes += static_cast<int64_t>(bytes);
  }
  // One block cache serves every column family.
  if (core_->db().GetIntProperty(core_->family(kItems), rocksdb::DB::Properties::kBlockCacheUsage,
                                 &bytes)) {
    stats.memory_bytes += static_cast<int64_t>(bytes);
  }
  stats.memory_bytes += core_->item_cache.size_bytes();
  return stats;
}

absl::Status FeatureStore::VerifyChecksums() const {
  PALATE_ASSIGN_OR_RETURN(const SharedHold open, core_->Enter());
  return core_->VerifyChecksums();
}

}  // namespace palate::featurestore
