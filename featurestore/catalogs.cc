// Catalogs: declarations, and the removal of all that one holds.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/feature_store.h"
#include "featurestore/storage/store_core.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
namespace {

Catalog Masked(const Catalog& before, const Catalog& update, const CatalogUpdateMask& mask) {
  Catalog catalog = before;
  if (mask.display_name) catalog.display_name = update.display_name;
  if (mask.attributes) catalog.attributes = update.attributes;
  if (mask.event_types) catalog.event_types = update.event_types;
  if (mask.spaces) catalog.spaces = update.spaces;
  if (mask.rerank_weight) catalog.rerank_weight = update.rerank_weight;
  if (catalog.spaces.empty()) catalog.spaces = DefaultSpaces();
  return catalog;
}

bool SameDeclarations(const Catalog& a, const Catalog& b) {
  return a.display_name == b.display_name && a.attributes == b.attributes &&
         a.event_types == b.event_types && a.spaces == b.spaces &&
         a.rerank_weight == b.rerank_weight;
}

// Vectors of a space would lose their declaration, or be measured against another length.
absl::Status CheckSpaces(const Catalog& before, const Catalog& now,
                         const std::map<std::string, storage::SpaceRecord>& filled) {
  for (const auto& [name, record] : filled) {
    const SpaceDeclaration* old = FindSpace(before, name);
    const SpaceDeclaration* kept = FindSpace(now, name);
    if (kept == nullptr)
      return absl::FailedPreconditionError(
          absl::StrCat("space ", name, " cannot be removed: items have vectors in it"));
    if (old != nullptr && kept->dimensions != old->dimensions && kept->model == old->model) {
      return absl::FailedPreconditionError(absl::StrCat("space ", name, " has ", old->dimensions,
                                                        " declared dimensions and cannot get ",
                                                        kept->dimensions, " with the same model"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Catalog> FeatureStore::CreateCatalog(const Catalog& catalog) {
  PALATE_ASSIGN_OR_RETURN(const SharedHold open, core_->Enter());
  PALATE_RETURN_IF_ERROR(ValidateCatalog(catalog));
  MutexLock admin(core_->admin_mutex);
  PALATE_ASSIGN_OR_RETURN(const auto known, core_->Get(kCatalogs, CatalogKey(catalog.id)));
  if (known.has_value())
    return absl::AlreadyExistsError(
        absl::StrCat("catalog ", QuoteForMessage(catalog.id), " exists"));
  Catalog created = catalog;
  if (created.spaces.empty()) created.spaces = DefaultSpaces();
  if (created.create_time == absl::UnixEpoch()) created.create_time = core_->Now();
  const auto reservation = core_->feed.Reserve(2);
  created.revision = reservation->first();
  auto state = std::make_shared<CatalogState>(core_->next_catalog, created.id);
  rocksdb::WriteBatch batch;
  PutRecord(batch, core_->family(kCatalogs), CatalogKey(created.id),
            ToRecord(created, state->number));
  batch.Put(core_->family(kMeta), ToSlice(kNextCatalogKey), EncodeCount(state->number + 1));
  core_->AddChange(batch, kCatalogFeed, reservation->first(), ChangeKind::kCatalogChanged,
                   created.id, created.revision);
  core_->AddChange(batch, state->number, reservation->first() + 1, ChangeKind::kCatalogChanged,
                   created.id, created.revision);
  PALATE_RETURN_IF_ERROR(core_->Write(batch));
  ++core_->next_catalog;
  ++core_->catalog_feed->feed_entries;
  ++state->feed_entries;
  {
    MutexLock lock(state->mutex);
    state->catalog = std::make_shared<const Catalog>(created);
  }
  core_->AddCatalog(std::move(state));
  return created;
}

absl::StatusOr<Catalog> FeatureStore::GetCatalog(absl::string_view id) const {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginRead(id));
  return *access.state->Declarations();
}

absl::StatusOr<Catalog> FeatureStore::UpdateCatalog(const Catalog& catalog,
                                                    const CatalogUpdateMask& mask,
                                                    std::optional<int64_t> expected_revision) {
  // The store stays open and the catalog alive through `access`; writers that began with the
  // declarations before are still right, since attributes only grow.
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginRead(catalog.id));
  MutexLock admin(core_->admin_mutex);
  CatalogState& state = *access.state;
  if (state.deleted)
    return absl::NotFoundError(
        absl::StrCat("catalog ", QuoteForMessage(catalog.id), " has been deleted"));
  const std::shared_ptr<const Catalog> before = state.Declarations();
  if (expected_revision.has_value() && *expected_revision != before->revision) {
    return absl::AbortedError(absl::StrCat("catalog ", QuoteForMessage(catalog.id),
                                           " has revision ", before->revision, ", not ",
                                           *expected_revision));
  }
  Catalog now = Masked(*before, catalog, mask);
  PALATE_RETURN_IF_ERROR(ValidateCatalog(now));
  PALATE_RETURN_IF_ERROR(ValidateCatalogChange(*before, now));
  PALATE_RETURN_IF_ERROR(CheckSpaces(*before, now, state.Spaces()));
  if (SameDeclarations(*before, now)) return *before;
  const auto reservation = core_->feed.Reserve(2);
  now.revision = reservation->first();
  rocksdb::WriteBatch batch;
  PutRecord(batch, core_->family(kCatalogs), CatalogKey(now.id), ToRecord(now, state.number));
  core_->AddChange(batch, kCatalogFeed, reservation->first(), ChangeKind::kCatalogChanged, now.id,
                   now.revision);
  core_->AddChange(batch, state.number, reservation->first() + 1, ChangeKind::kCatalogChanged,
                   now.id, now.revision);
  PALATE_RETURN_IF_ERROR(core_->Write(batch));
  ++core_->catalog_feed->feed_entries;
  ++state.feed_entries;
  MutexLock lock(state.mutex);
  state.catalog = std::make_shared<const Catalog>(now);
  return now;
}

absl::StatusOr<CatalogPage> FeatureStore::ListCatalogs(int page_size,
                                                       absl::string_view page_token) const {
  PALATE_ASSIGN_OR_RETURN(const SharedHold open, core_->Enter());
  PALATE_ASSIGN_OR_RETURN(const int limit, CheckPageSize(page_size, core_->options.limits));
  PALATE_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(page_token));
  CatalogPage page;
  for (const std::shared_ptr<CatalogState>& state : core_->AllCatalogs()) {
    if (state->id <= after) continue;
    if (page.catalogs.size() == static_cast<size_t>(limit)) {
      page.next_page_token = EncodePageToken(page.catalogs.back().id);
      break;
    }
    page.catalogs.push_back(*state->Declarations());
  }
  return page;
}

absl::Status FeatureStore::DeleteCatalog(absl::string_view id) {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginRead(id));
  MutexLock admin(core_->admin_mutex);
  CatalogState& state = *access.state;
  const ExclusiveHold alone(state.lifecycle);
  if (state.deleted)
    return absl::NotFoundError(absl::StrCat("catalog ", QuoteForMessage(id), " has been deleted"));
  const std::string begin = CatalogPrefix(state.number);
  const std::string end = PrefixEnd(begin);
  rocksdb::WriteBatch batch;
  for (const Family family : {kItems, kUsers, kEvents, kVectors, kBlobs, kCounters, kChanges,
                              kImpressions, kIdempotence}) {
    batch.DeleteRange(core_->family(family), begin, end);
  }
  batch.Delete(core_->family(kCatalogs), CatalogKey(id));
  batch.Delete(core_->family(kMeta), FeedTrimKey(state.number));
  batch.Delete(core_->family(kMeta), StaleVectorsKey(state.number));
  for (const auto& [space, record] : state.Spaces())
    batch.Delete(core_->family(kMeta), SpaceRecordKey(state.number, space));
  // The flag is set before readers of the feed wake, so that they find the catalog gone.
  const auto reservation = core_->feed.Reserve(1);
  core_->AddChange(batch, kCatalogFeed, reservation->first(), ChangeKind::kCatalogDeleted, id,
                   reservation->first());
  PALATE_RETURN_IF_ERROR(core_->Write(batch));
  state.deleted = true;
  ++core_->catalog_feed->feed_entries;
  core_->RemoveCatalog(state.id);
  return absl::OkStatus();
}

}  // namespace palate::featurestore
