#include "featurestore/catalog_store.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
namespace {

Catalog Masked(const Catalog& before, const Catalog& update, const CatalogUpdateMask& mask) {
  Catalog catalog = before;
  for (const CatalogField* field : mask) field->copy(update, catalog);
  if (catalog.spaces.empty()) catalog.spaces = DefaultSpaces();
  return catalog;
}

// Refuses changes under which stored vectors would lose their space or contradict its dimensions.
absl::Status CheckSpaces(const Catalog& before, const Catalog& now, const SpaceRecords& filled) {
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

CatalogStore::CatalogStore(Storage& storage)
    : database_(storage.database()),
      catalogs_(storage.catalogs()),
      changes_(storage.changes()),
      options_(storage.options()) {}

absl::Status CatalogStore::Load() {
  PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> next,
                          database_.Get(kMeta, kNextCatalogKey));
  if (!next.has_value()) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const int64_t number, DecodeCount(*next));
  MutexLock admin(admin_mutex_);
  next_number_ = static_cast<uint32_t>(number);
  return absl::OkStatus();
}

void CatalogStore::PutCatalog(const Catalog& catalog, uint32_t number, int64_t position,
                              rocksdb::WriteBatch& batch) const {
  PutRecord(batch, database_.family(kCatalogs), CatalogKey(catalog.id), ToRecord(catalog, number));
  changes_.Add(batch, kCatalogFeed, position, ChangeKind::kCatalogChanged, catalog.id,
               catalog.revision);
  changes_.Add(batch, number, position + 1, ChangeKind::kCatalogChanged, catalog.id,
               catalog.revision);
}

void CatalogStore::Publish(const Catalog& catalog, CatalogState& state) {
  catalogs_.catalog_feed().AddCounts({.feed_entries = 1});
  state.AddCounts({.feed_entries = 1});
  state.SetDeclarations(catalog);
}

absl::StatusOr<Catalog> CatalogStore::Create(const Catalog& catalog) {
  PALATE_ASSIGN_OR_RETURN(const SharedHold open, database_.Enter());
  PALATE_RETURN_IF_ERROR(ValidateCatalog(catalog));
  MutexLock admin(admin_mutex_);
  PALATE_ASSIGN_OR_RETURN(const auto known, database_.Get(kCatalogs, CatalogKey(catalog.id)));
  if (known.has_value())
    return absl::AlreadyExistsError(
        absl::StrCat("catalog ", QuoteForMessage(catalog.id), " exists"));

  Catalog created = catalog;
  if (created.spaces.empty()) created.spaces = DefaultSpaces();
  if (created.create_time == absl::UnixEpoch()) created.create_time = options_.clock->Now();
  const auto reservation = changes_.Reserve(2);
  created.revision = reservation->first();

  auto state = std::make_shared<CatalogState>(next_number_, created.id);
  rocksdb::WriteBatch batch;
  PutCatalog(created, state->number(), reservation->first(), batch);
  batch.Put(database_.family(kMeta), ToSlice(kNextCatalogKey), EncodeCount(state->number() + 1));
  PALATE_RETURN_IF_ERROR(database_.Write(batch));
  ++next_number_;
  Publish(created, *state);
  catalogs_.Add(std::move(state));
  return created;
}

absl::StatusOr<Catalog> CatalogStore::Get(absl::string_view id) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginRead(id));
  return *access.state->Declarations();
}

absl::StatusOr<Catalog> CatalogStore::Update(const Catalog& catalog, const CatalogUpdateMask& mask,
                                             std::optional<int64_t> expected_revision) {
  // The store stays open and the catalog alive through `access`; writers that began with the
  // declarations before are still right, since attributes only grow.
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginRead(catalog.id));
  MutexLock admin(admin_mutex_);
  CatalogState& state = *access.state;
  PALATE_RETURN_IF_ERROR(state.CheckNotDeleted());

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

  const auto reservation = changes_.Reserve(2);
  now.revision = reservation->first();
  rocksdb::WriteBatch batch;
  PutCatalog(now, state.number(), reservation->first(), batch);
  PALATE_RETURN_IF_ERROR(database_.Write(batch));
  Publish(now, state);
  return now;
}

absl::StatusOr<CatalogPage> CatalogStore::List(int page_size, absl::string_view page_token) {
  PALATE_ASSIGN_OR_RETURN(const SharedHold open, database_.Enter());
  PALATE_ASSIGN_OR_RETURN(const int limit, ValidatePageSize(page_size, options_.limits));
  PALATE_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(page_token));

  CatalogPage page;
  for (const std::shared_ptr<CatalogState>& state : catalogs_.All()) {
    if (state->id() <= after) continue;
    if (page.catalogs.size() == static_cast<size_t>(limit)) {
      page.next_page_token = EncodePageToken(page.catalogs.back().id);
      break;
    }
    page.catalogs.push_back(*state->Declarations());
  }
  return page;
}

absl::Status CatalogStore::Delete(absl::string_view id) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginRead(id));
  MutexLock admin(admin_mutex_);
  CatalogState& state = *access.state;
  const ExclusiveHold alone(state.lifecycle());
  PALATE_RETURN_IF_ERROR(state.CheckNotDeleted());

  const std::string begin = CatalogPrefix(state.number());
  const std::string end = PrefixEnd(begin);
  rocksdb::WriteBatch batch;
  for (const Family family : {kItems, kUsers, kEvents, kVectors, kBlobs, kCounters, kChanges,
                              kImpressions, kIdempotence, kNumbers}) {
    batch.DeleteRange(database_.family(family), begin, end);
  }
  batch.Delete(database_.family(kCatalogs), CatalogKey(id));
  batch.Delete(database_.family(kMeta), FeedTrimKey(state.number()));
  batch.Delete(database_.family(kMeta), StaleVectorsKey(state.number()));
  for (const auto& [space, record] : state.Spaces())
    batch.Delete(database_.family(kMeta), SpaceRecordKey(state.number(), space));

  // The flag is set before readers of the feed wake, so that they find the catalog gone.
  const auto reservation = changes_.Reserve(1);
  changes_.Add(batch, kCatalogFeed, reservation->first(), ChangeKind::kCatalogDeleted, id,
               reservation->first());
  PALATE_RETURN_IF_ERROR(database_.Write(batch));
  state.MarkDeleted();
  catalogs_.catalog_feed().AddCounts({.feed_entries = 1});
  catalogs_.Remove(state.id());
  return absl::OkStatus();
}

}  // namespace palate::featurestore
