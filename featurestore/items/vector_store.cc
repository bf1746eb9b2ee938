#include "featurestore/items/vector_store.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/items/item_batch.h"
#include "featurestore/storage/embedding_state.h"
#include "featurestore/storage/keys.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
namespace {

// A shorter vector has no direction.
constexpr double kMinLength = 1e-12;

bool ChangesModel(const storage::SpaceRecord& space) {
  return space.target_fingerprint() != space.active_fingerprint();
}

// The vectors at unit length.
absl::StatusOr<std::vector<SpaceVector>> UnitVectors(const std::vector<SpaceVector>& vectors,
                                                     const Catalog& catalog,
                                                     const SpaceRecords& spaces,
                                                     const StoreLimits& limits) {
  std::vector<SpaceVector> unit = vectors;
  for (size_t i = 0; i < unit.size(); ++i) {
    const std::string field = absl::StrCat("vectors[", i, "]");
    std::vector<float>& values = unit[i].values;
    PALATE_RETURN_IF_ERROR(
        ValidateSpaceKey(absl::StrCat(field, ".space"), unit[i].space, catalog, limits));
    PALATE_RETURN_IF_ERROR(
        ValidateBatchSize(absl::StrCat(field, ".values"), values.size(), limits.max_dimensions));

    // The declaration may be newer than the active model, whose vectors FitIntoSpace() compares.
    const auto space = spaces.find(unit[i].space.name);
    const bool former = space != spaces.end() && ChangesModel(space->second) &&
                        space->second.active_fingerprint() == unit[i].space.fingerprint;
    const int declared = former ? 0 : FindSpace(catalog, unit[i].space.name)->dimensions;
    if (declared != 0 && values.size() != static_cast<size_t>(declared)) {
      return InvalidField(absl::StrCat(field, ".values"),
                          absl::StrCat("has ", values.size(), " numbers"),
                          absl::StrCat(declared, ", as declared"));
    }

    const double length = Length(values);
    if (!std::isfinite(length) || length < kMinLength) {
      return InvalidField(absl::StrCat(field, ".values"),
                          absl::StrCat("has length ", NumberText(length)),
                          "finite and longer than 0");
    }
    // A vector that is already of unit length keeps its exact bits.
    if (std::abs(1 / length - 1) >= 1e-6) Normalize(values);
  }
  return unit;
}

absl::Status WrongDimensions(const SpaceVector& vector, int32_t expected) {
  return InvalidField(
      "vectors",
      absl::StrCat("has ", vector.values.size(), " numbers in space ", vector.space.name),
      absl::StrCat(expected, ", like other vectors of fingerprint ",
                   QuoteForMessage(vector.space.fingerprint)));
}

// Checks the vector against the fingerprints and dimensions of its space; a first vector sets them.
absl::Status FitIntoSpace(const SpaceVector& vector, storage::SpaceRecord& record) {
  const std::string& fingerprint = vector.space.fingerprint;
  const int32_t size = static_cast<int32_t>(vector.values.size());
  if (record.active_fingerprint().empty()) {
    record.set_active_fingerprint(fingerprint);
    record.set_target_fingerprint(fingerprint);
  }

  const bool active = fingerprint == record.active_fingerprint();
  const bool target = fingerprint == record.target_fingerprint();
  if (!active && !target) {
    return absl::FailedPreconditionError(
        absl::StrCat("space ", vector.space.name, " holds vectors of fingerprint ",
                     record.target_fingerprint(), ", not of ", QuoteForMessage(fingerprint)));
  }

  const int32_t known = active ? record.active_dimensions() : record.target_dimensions();
  if (known != 0 && known != size) return WrongDimensions(vector, known);
  if (active) record.set_active_dimensions(size);
  if (target) record.set_target_dimensions(size);
  return absl::OkStatus();
}

}  // namespace

VectorStore::VectorStore(Storage& storage, ItemStore& items, SpaceSwitcher& spaces)
    : database_(storage.database()),
      catalogs_(storage.catalogs()),
      changes_(storage.changes()),
      options_(storage.options()),
      items_(items),
      spaces_(spaces) {}

absl::Status VectorStore::NoteSpaces(CatalogState& state, const std::vector<SpaceVector>& vectors,
                                     rocksdb::WriteBatch& batch) {
  // Every batch carries the record, so that it is on disk whichever of several first vectors is
  // committed.
  return state.UpdateSpaces([&](SpaceRecords& spaces) -> absl::Status {
    for (const SpaceVector& vector : vectors) {
      storage::SpaceRecord& record = spaces[vector.space.name];
      PALATE_RETURN_IF_ERROR(FitIntoSpace(vector, record));
      PutRecord(batch, database_.family(kMeta), SpaceRecordKey(state.number(), vector.space.name),
                record);
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<storage::ItemRecord> VectorStore::CheckRevision(uint32_t catalog,
                                                               absl::string_view item_id,
                                                               int64_t revision) const {
  PALATE_ASSIGN_OR_RETURN(
      auto record, database_.GetRecord<storage::ItemRecord>(kItems, ItemKey(catalog, item_id)));
  if (!record.has_value())
    return absl::NotFoundError(absl::StrCat("item ", QuoteForMessage(item_id), " is not known"));
  if (revision < record->content_revision() || revision > record->revision()) {
    return absl::FailedPreconditionError(
        absl::StrCat("item ", QuoteForMessage(item_id), " has moved on from revision ", revision,
                     ": its content is of revision ", record->content_revision()));
  }
  return *std::move(record);
}

absl::StatusOr<CatalogCounts> VectorStore::ReplaceRow(uint32_t catalog, absl::string_view item_id,
                                                      const storage::EmbeddingRecord& row,
                                                      rocksdb::WriteBatch& batch) const {
  const std::string key = TaggedItemKey(catalog, CounterTag::kEmbedding, item_id);
  PALATE_ASSIGN_OR_RETURN(const auto before,
                          database_.GetRecord<storage::EmbeddingRecord>(kCounters, key));
  if (IsEmptyRow(row)) {
    batch.Delete(database_.family(kCounters), key);
  } else {
    PutRecord(batch, database_.family(kCounters), key, row);
  }

  CatalogCounts change;
  AddRow(row, 1, change);
  if (before.has_value()) AddRow(*before, -1, change);
  return change;
}

void VectorStore::DropOthers(const CatalogState& state, absl::string_view item_id,
                             const std::vector<SpaceVector>& vectors,
                             rocksdb::WriteBatch& batch) const {
  for (const auto& [name, record] : state.Spaces()) {
    bool kept = false;
    for (const SpaceVector& vector : vectors)
      kept = kept ||
             (vector.space.name == name && vector.space.fingerprint == record.target_fingerprint());
    if (!kept)
      batch.Delete(database_.family(kVectors),
                   VectorKey(state.number(), item_id, name, record.target_fingerprint()));
  }
}

absl::Status VectorStore::Put(absl::string_view catalog, absl::string_view item_id,
                              int64_t revision, const std::vector<SpaceVector>& vectors,
                              bool complete, const std::vector<PartFailure>& failed_parts) {
  PALATE_ASSIGN_OR_RETURN(auto access, catalogs_.BeginWrite(catalog));
  const StoreLimits& limits = options_.limits;
  PALATE_RETURN_IF_ERROR(ValidateId("item_id", item_id, limits));
  if (!complete)
    PALATE_RETURN_IF_ERROR(ValidateBatchSize("vectors", vectors.size(), limits.max_batch));
  PALATE_ASSIGN_OR_RETURN(const std::vector<SpaceVector> unit,
                          UnitVectors(vectors, *access.catalog, access.state->Spaces(), limits));

  PALATE_RETURN_IF_ERROR(Commit(*access.state, item_id, revision, unit, complete, failed_parts));
  changes_.TrimIfLong(*access.state);
  access.alive.Release();
  return spaces_.SwitchIfDone(*access.state);
}

absl::Status VectorStore::Commit(CatalogState& state, absl::string_view item_id, int64_t revision,
                                 const std::vector<SpaceVector>& vectors, bool complete,
                                 const std::vector<PartFailure>& failed_parts) {
  const LockTable::Hold held(items_.locks(), {item_id});
  PALATE_ASSIGN_OR_RETURN(const storage::ItemRecord item,
                          CheckRevision(state.number(), item_id, revision));

  rocksdb::WriteBatch batch;
  PALATE_RETURN_IF_ERROR(NoteSpaces(state, vectors, batch));
  CatalogCounts delta;
  if (complete) {
    storage::EmbeddingRecord row =
        NewEmbeddingRow(FromRecord(std::string(item_id), storage::ItemRecord(item)),
                        item.content_revision(), /*embeddable=*/false);
    for (const PartFailure& failure : failed_parts) AddFailedPart(failure, row);
    PALATE_ASSIGN_OR_RETURN(delta, ReplaceRow(state.number(), item_id, row, batch));
    DropOthers(state, item_id, vectors, batch);
  }
  for (const SpaceVector& vector : vectors) {
    storage::VectorRecord record;
    record.set_content_revision(item.content_revision());
    record.set_values(FloatsToBytes(vector.values));
    PutRecord(batch, database_.family(kVectors),
              VectorKey(state.number(), item_id, vector.space.name, vector.space.fingerprint),
              record);
  }
  const auto reservation = changes_.Reserve(1);
  changes_.Add(batch, state.number(), reservation->first(), ChangeKind::kVectorsChanged, item_id,
               item.revision());

  PALATE_RETURN_IF_ERROR(database_.Write(batch));
  delta.feed_entries = 1;
  // Before the cache: a reader that finds no flawed item in the counts looks for no failed parts.
  state.AddCounts(delta);
  items_.ForgetCached(state, item_id);
  return absl::OkStatus();
}

absl::Status VectorStore::SetFailure(absl::string_view catalog, absl::string_view item_id,
                                     int64_t revision, const absl::Status& failure) {
  PALATE_ASSIGN_OR_RETURN(auto access, catalogs_.BeginWrite(catalog));
  CatalogState& state = *access.state;
  PALATE_RETURN_IF_ERROR(ValidateId("item_id", item_id, options_.limits));
  if (failure.ok()) return InvalidField("failure", "is OK", "an error");

  {
    const LockTable::Hold held(items_.locks(), {item_id});
    PALATE_ASSIGN_OR_RETURN(storage::ItemRecord item,
                            CheckRevision(state.number(), item_id, revision));
    const int64_t content_revision = item.content_revision();
    storage::EmbeddingRecord row =
        NewEmbeddingRow(FromRecord(std::string(item_id), std::move(item)), content_revision,
                        /*embeddable=*/true);
    // Qualified: this class has a method of the name.
    featurestore::SetFailure(failure, row);

    rocksdb::WriteBatch batch;
    PALATE_ASSIGN_OR_RETURN(const CatalogCounts delta,
                            ReplaceRow(state.number(), item_id, row, batch));
    PALATE_RETURN_IF_ERROR(database_.Write(batch));
    state.AddCounts(delta);
    items_.ForgetCached(state, item_id);
  }

  access.alive.Release();
  return spaces_.SwitchIfDone(state);
}

absl::StatusOr<EmbeddingStatus> VectorStore::GetStatus(absl::string_view catalog,
                                                       absl::string_view item_id) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginRead(catalog));
  PALATE_RETURN_IF_ERROR(ValidateId("item_id", item_id, options_.limits));

  const Snapshot snapshot(database_);
  const rocksdb::ReadOptions& read = snapshot.read();
  PALATE_ASSIGN_OR_RETURN(auto item, database_.GetRecord<storage::ItemRecord>(
                                         kItems, ItemKey(access.state->number(), item_id), read));
  if (!item.has_value())
    return absl::NotFoundError(absl::StrCat("item ", QuoteForMessage(item_id), " is not known"));

  const bool embeddable = IsEmbeddable(FromRecord(std::string(item_id), *std::move(item)));
  PALATE_ASSIGN_OR_RETURN(
      const auto row,
      database_.GetRecord<storage::EmbeddingRecord>(
          kCounters, TaggedItemKey(access.state->number(), CounterTag::kEmbedding, item_id), read));

  EmbeddingStatus status;
  if (row.has_value()) status.failed_parts = FailuresOf(*row);
  if (!embeddable) return status;
  if (!row.has_value() || row->done()) {
    status.state = EmbeddingState::kDone;
  } else if (IsWaiting(*row)) {
    status.state = EmbeddingState::kPending;
  } else {
    status.state = EmbeddingState::kFailed;
    status.failure = status.failed_parts.front().status;
  }
  return status;
}

absl::StatusOr<std::vector<std::string>> VectorStore::WithoutActive(
    absl::string_view catalog, const std::vector<std::string>& item_ids) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginRead(catalog));
  const uint32_t number = access.state->number();
  SpaceRecords changing = access.state->Spaces();
  std::erase_if(changing, [](const auto& space) { return !ChangesModel(space.second); });

  std::vector<std::string> without;
  if (changing.empty()) return without;
  for (const std::string& id : item_ids) {
    PALATE_ASSIGN_OR_RETURN(auto item,
                            database_.GetRecord<storage::ItemRecord>(kItems, ItemKey(number, id)));
    if (!item.has_value()) continue;
    const int64_t content = item->content_revision();
    if (!IsEmbeddable(FromRecord(id, *std::move(item)))) continue;

    bool found = false;
    for (const auto& [name, space] : changing) {
      PALATE_ASSIGN_OR_RETURN(
          const auto vector,
          database_.GetRecord<storage::VectorRecord>(
              kVectors, VectorKey(number, id, name, space.active_fingerprint())));
      found = found || (vector.has_value() && vector->content_revision() == content);
    }
    if (!found) without.push_back(id);
  }
  return without;
}

absl::StatusOr<int64_t> VectorStore::Backlog() {
  PALATE_ASSIGN_OR_RETURN(const SharedHold open, database_.Enter());
  int64_t backlog = 0;
  for (const std::shared_ptr<CatalogState>& state : catalogs_.All())
    backlog += state->counts().pending;
  return backlog;
}

absl::StatusOr<std::vector<std::string>> VectorStore::PendingIds(
    const CatalogState& state, int limit, absl::string_view after_item_id,
    const rocksdb::ReadOptions& read) const {
  const std::string prefix = CounterPrefix(state.number(), CounterTag::kEmbedding);
  const std::string from =
      after_item_id.empty() ? prefix
                            : TaggedItemKey(state.number(), CounterTag::kEmbedding, after_item_id);

  std::vector<std::string> ids;
  PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
      kCounters, prefix, from, read,
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        if (key == from) return true;
        PALATE_ASSIGN_OR_RETURN(const auto record,
                                ParseRecord<storage::EmbeddingRecord>(value, "embedding state"));
        if (!IsWaiting(record)) return true;

        std::string id;
        key.remove_prefix(prefix.size());
        if (!ConsumeId(key, id))
          return absl::DataLossError("a stored embedding state has a damaged key");
        ids.push_back(std::move(id));
        return ids.size() < static_cast<size_t>(limit);
      }));
  return ids;
}

absl::StatusOr<std::vector<StoredItem>> VectorStore::ListPending(absl::string_view catalog,
                                                                 int limit,
                                                                 absl::string_view after_item_id,
                                                                 int64_t max_image_bytes) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginRead(catalog));
  if (limit < 1 || limit > options_.limits.max_batch) {
    return InvalidField("limit", absl::StrCat("is ", limit),
                        absl::StrCat("from 1 to ", options_.limits.max_batch));
  }

  const Snapshot snapshot(database_);
  const rocksdb::ReadOptions& read = snapshot.read();
  PALATE_ASSIGN_OR_RETURN(const std::vector<std::string> ids,
                          PendingIds(*access.state, limit, after_item_id, read));
  PALATE_ASSIGN_OR_RETURN(const StoredItemReader reader, items_.Reader(*access.state, {}, read));
  PALATE_ASSIGN_OR_RETURN(auto items, reader.Read(ids));

  std::vector<StoredItem> pending;
  int64_t image_bytes = 0;
  for (std::optional<StoredItem>& item : items) {
    if (!item.has_value())
      return absl::DataLossError("an item that waits for vectors is missing from the store");
    image_bytes += StoredItemReader::ImageBytes(item->item);
    if (!pending.empty() && image_bytes > max_image_bytes) break;
    PALATE_RETURN_IF_ERROR(reader.AddImages(*item));
    pending.push_back(*std::move(item));
  }
  return pending;
}

}  // namespace palate::featurestore
