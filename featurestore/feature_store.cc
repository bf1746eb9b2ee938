#include "featurestore/feature_store.h"

#include <utility>

#include "base/status.h"
#include "featurestore/catalog_store.h"
#include "featurestore/change_feed.h"
#include "featurestore/items/item_store.h"
#include "featurestore/items/space_switcher.h"
#include "featurestore/items/vector_store.h"
#include "featurestore/migrate.h"
#include "featurestore/storage/storage.h"
#include "featurestore/user_context_reader.h"
#include "featurestore/users/user_store.h"

namespace palate::featurestore {

struct FeatureStore::Parts {
  explicit Parts(std::unique_ptr<Storage> opened) : storage(std::move(opened)) {}

  const std::unique_ptr<Storage> storage;
  CatalogStore catalogs{*storage};
  SpaceSwitcher spaces{*storage};
  ItemStore items{*storage, spaces};
  VectorStore vectors{*storage, items, spaces};
  UserStore users{*storage};
  UserContextReader contexts{*storage, items};
  ChangeFeed feed{*storage};
};

FeatureStore::FeatureStore(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

FeatureStore::~FeatureStore() { (void)Close(); }

absl::StatusOr<std::unique_ptr<FeatureStore>> FeatureStore::Open(StoreOptions options) {
  PALATE_ASSIGN_OR_RETURN(std::unique_ptr<Storage> storage, Storage::Open(std::move(options)));
  PALATE_RETURN_IF_ERROR(MigrateToCurrentFormat(storage->database()));
  PALATE_RETURN_IF_ERROR(storage->Load());

  auto parts = std::make_unique<Parts>(std::move(storage));
  PALATE_RETURN_IF_ERROR(parts->catalogs.Load());
  PALATE_RETURN_IF_ERROR(parts->spaces.FinishInterrupted());
  PALATE_RETURN_IF_ERROR(parts->users.FinishInterruptedPurge());
  return std::unique_ptr<FeatureStore>(new FeatureStore(std::move(parts)));
}

absl::Status FeatureStore::Close() { return parts_->storage->Close(); }

// ---- Catalogs ----

absl::StatusOr<Catalog> FeatureStore::CreateCatalog(const Catalog& catalog) {
  return parts_->catalogs.Create(catalog);
}

absl::StatusOr<Catalog> FeatureStore::GetCatalog(absl::string_view id) const {
  return parts_->catalogs.Get(id);
}

absl::StatusOr<Catalog> FeatureStore::UpdateCatalog(const Catalog& catalog,
                                                    const CatalogUpdateMask& mask,
                                                    std::optional<int64_t> expected_revision) {
  return parts_->catalogs.Update(catalog, mask, expected_revision);
}

absl::StatusOr<CatalogPage> FeatureStore::ListCatalogs(int page_size,
                                                       absl::string_view page_token) const {
  return parts_->catalogs.List(page_size, page_token);
}

absl::Status FeatureStore::DeleteCatalog(absl::string_view id) {
  return parts_->catalogs.Delete(id);
}

// ---- Items ----

absl::StatusOr<UpsertItemsResult> FeatureStore::UpsertItems(absl::string_view catalog,
                                                            const std::vector<ItemWrite>& writes) {
  return parts_->items.Upsert(catalog, writes);
}

absl::StatusOr<GetItemsResult> FeatureStore::GetItems(absl::string_view catalog,
                                                      const std::vector<std::string>& ids,
                                                      const ItemReadOptions& options) const {
  return parts_->items.Get(catalog, ids, options);
}

absl::StatusOr<std::vector<ElementFailure>> FeatureStore::DeleteItems(
    absl::string_view catalog, const std::vector<std::string>& ids) {
  return parts_->items.Delete(catalog, ids);
}

absl::StatusOr<ItemPage> FeatureStore::ListItems(absl::string_view catalog, int page_size,
                                                 absl::string_view page_token,
                                                 const ItemReadOptions& options) const {
  return parts_->items.List(catalog, page_size, page_token, options);
}

// ---- Vectors and embedding state ----

absl::Status FeatureStore::PutVectors(absl::string_view catalog, absl::string_view item_id,
                                      int64_t revision, const std::vector<SpaceVector>& vectors,
                                      bool complete, const std::vector<PartFailure>& failed_parts) {
  return parts_->vectors.Put(catalog, item_id, revision, vectors, complete, failed_parts);
}

absl::Status FeatureStore::SetEmbeddingFailure(absl::string_view catalog, absl::string_view item_id,
                                               int64_t revision, const absl::Status& failure) {
  return parts_->vectors.SetFailure(catalog, item_id, revision, failure);
}

absl::StatusOr<EmbeddingStatus> FeatureStore::GetEmbeddingStatus(absl::string_view catalog,
                                                                 absl::string_view item_id) const {
  return parts_->vectors.GetStatus(catalog, item_id);
}

absl::StatusOr<std::vector<StoredItem>> FeatureStore::ListPending(absl::string_view catalog,
                                                                  int limit,
                                                                  absl::string_view after_item_id,
                                                                  int64_t max_image_bytes) const {
  return parts_->vectors.ListPending(catalog, limit, after_item_id, max_image_bytes);
}

absl::StatusOr<std::vector<std::string>> FeatureStore::ItemsWithoutActiveVectors(
    absl::string_view catalog, const std::vector<std::string>& item_ids) const {
  return parts_->vectors.WithoutActive(catalog, item_ids);
}

absl::StatusOr<int64_t> FeatureStore::EmbeddingBacklog() const { return parts_->vectors.Backlog(); }

absl::Status FeatureStore::SetTargetSpaces(absl::string_view catalog,
                                           const std::vector<SpaceKey>& targets) {
  return parts_->spaces.SetTargets(catalog, targets);
}

absl::StatusOr<std::vector<ActiveSpace>> FeatureStore::GetActiveSpaces(
    absl::string_view catalog) const {
  return parts_->spaces.GetActive(catalog);
}

// ---- Events and users ----

absl::StatusOr<WriteEventsResult> FeatureStore::WriteEvents(absl::string_view catalog,
                                                            const std::vector<Event>& events,
                                                            const WriteEventsOptions& options) {
  return parts_->users.WriteEvents(catalog, events, options);
}

absl::StatusOr<UserContext> FeatureStore::GetUserContext(const UserContextQuery& query,
                                                         const UserContextOptions& options) const {
  return parts_->contexts.Read(query, options);
}

absl::StatusOr<std::vector<ElementFailure>> FeatureStore::UpsertUsers(
    absl::string_view catalog, const std::vector<User>& users) {
  return parts_->users.Upsert(catalog, users);
}

absl::StatusOr<User> FeatureStore::GetUser(absl::string_view catalog,
                                           absl::string_view user_id) const {
  return parts_->users.Get(catalog, user_id);
}

absl::StatusOr<PurgeReport> FeatureStore::PurgeUser(absl::string_view catalog,
                                                    absl::string_view user_id) {
  return parts_->users.Purge(catalog, user_id);
}

absl::Status FeatureStore::WriteImpression(absl::string_view catalog,
                                           const Impression& impression) {
  return parts_->users.WriteImpression(catalog, impression);
}

absl::StatusOr<std::vector<Impression>> FeatureStore::ListImpressions(absl::string_view catalog,
                                                                      absl::string_view user_id,
                                                                      int limit) const {
  return parts_->users.ListImpressions(catalog, user_id, limit);
}

// ---- Change feed ----

absl::StatusOr<std::string> FeatureStore::GetFeedToken(absl::string_view catalog) const {
  return parts_->feed.GetToken(catalog);
}

absl::StatusOr<ChangeBatch> FeatureStore::ReadChanges(absl::string_view catalog,
                                                      absl::string_view token, int max_changes,
                                                      absl::Time deadline) const {
  return parts_->feed.Read(catalog, token, max_changes, deadline);
}

int64_t FeatureStore::AddFeedListener(std::function<void()> listener) {
  return parts_->storage->changes().positions().AddListener(std::move(listener));
}

void FeatureStore::RemoveFeedListener(int64_t id) {
  parts_->storage->changes().positions().RemoveListener(id);
}

absl::Status FeatureStore::TrimFeed() { return parts_->feed.Trim(); }

// ---- Operation ----

absl::StatusOr<StoreStats> FeatureStore::GetStats() const {
  Database& database = parts_->storage->database();
  PALATE_ASSIGN_OR_RETURN(const SharedHold open, database.Enter());
  StoreStats stats;
  stats.format_version = kFormatVersion;
  stats.disk_bytes = database.disk_bytes();
  stats.memory_bytes = database.memory_bytes() + parts_->items.cache_bytes();
  stats.incarnation = parts_->storage->changes().incarnation_name();

  for (const std::shared_ptr<CatalogState>& state : parts_->storage->catalogs().All()) {
    const CatalogCounts counts = state->counts();
    CatalogStats catalog;
    catalog.catalog = state->id();
    catalog.items = counts.items;
    catalog.users = counts.users;
    catalog.events = counts.events;
    catalog.embedding_backlog = counts.pending;
    catalog.embedding_failed = counts.failed;
    catalog.items_with_failed_parts = counts.flawed;
    catalog.feed_entries = counts.feed_entries;
    catalog.spaces = state->ActiveSpaces();
    stats.catalogs.push_back(std::move(catalog));
  }
  return stats;
}

absl::Status FeatureStore::VerifyChecksums() const {
  Database& database = parts_->storage->database();
  PALATE_ASSIGN_OR_RETURN(const SharedHold open, database.Enter());
  return database.VerifyChecksums();
}

}  // namespace palate::featurestore
