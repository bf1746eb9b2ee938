// Vectors of items, the state of their embedding, and the change from one model to the next.
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "domain/limits.h"
#include "domain/vector.h"
#include "featurestore/feature_store.h"
#include "featurestore/items/item_batch.h"
#include "featurestore/storage/store_core.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
namespace {

constexpr size_t kRowsPerBatch = 10000;
constexpr size_t kMaxFailureBytes = 1024;
// A shorter vector has no direction.
constexpr double kMinLength = 1e-12;

absl::Status ValidateSpaceKey(const std::string& field, const SpaceKey& space,
                              const Catalog& catalog, const StoreLimits& limits) {
  if (FindSpace(catalog, space.name) == nullptr) {
    return InvalidField(absl::StrCat(field, ".name"),
                        absl::StrCat("is ", QuoteForMessage(space.name)),
                        absl::StrCat("a space that catalog ", catalog.id, " declares"));
  }
  PALATE_RETURN_IF_ERROR(
      ValidateId(absl::StrCat(field, ".fingerprint"), space.fingerprint, limits));
  return ValidateText(absl::StrCat(field, ".fingerprint"), space.fingerprint, kMaxFingerprintBytes);
}

// The vectors at unit length.
absl::StatusOr<std::vector<SpaceVector>> UnitVectors(const std::vector<SpaceVector>& vectors,
                                                     const Catalog& catalog,
                                                     const StoreLimits& limits) {
  std::vector<SpaceVector> unit = vectors;
  for (size_t i = 0; i < unit.size(); ++i) {
    const std::string field = absl::StrCat("vectors[", i, "]");
    std::vector<float>& values = unit[i].values;
    PALATE_RETURN_IF_ERROR(
        ValidateSpaceKey(absl::StrCat(field, ".space"), unit[i].space, catalog, limits));
    PALATE_RETURN_IF_ERROR(
        ValidateBatchSize(absl::StrCat(field, ".values"), values.size(), limits.max_dimensions));
    const int declared = FindSpace(catalog, unit[i].space.name)->dimensions;
    if (declared != 0 && values.size() != static_cast<size_t>(declared)) {
      return InvalidField(absl::StrCat(field, ".values"),
                          absl::StrCat("has ", values.size(), " numbers"),
                          absl::StrCat(declared, ", as declared"));
    }
    const double length = Length(values);
    if (!std::isfinite(length) || length < kMinLength) {
      return InvalidField(absl::StrCat(field, ".values"), absl::StrCat("has length ", length),
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
      absl::StrCat(expected, ", like other vectors of fingerprint ", vector.space.fingerprint));
}

// Checks the vector against what fills its space and, for a first vector, notes it.
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

// Adopts the vectors into the catalog's spaces, in memory and in the batch. Every batch carries the
// record, so that it is on disk whichever of several first vectors is committed.
absl::Status NoteSpaces(StoreCore& core, CatalogState& state,
                        const std::vector<SpaceVector>& vectors, rocksdb::WriteBatch& batch) {
  MutexLock lock(state.mutex);
  std::map<std::string, storage::SpaceRecord> spaces = state.spaces;
  for (const SpaceVector& vector : vectors) {
    storage::SpaceRecord& record = spaces[vector.space.name];
    PALATE_RETURN_IF_ERROR(FitIntoSpace(vector, record));
    PutRecord(batch, core.family(kMeta), SpaceRecordKey(state.number, vector.space.name), record);
  }
  state.spaces = std::move(spaces);
  return absl::OkStatus();
}

// The stored item, when vectors or a failure that were made of `revision` still speak of its
// content.
absl::StatusOr<storage::ItemRecord> CheckRevision(const StoreCore& core, uint32_t catalog,
                                                  absl::string_view item_id, int64_t revision) {
  PALATE_ASSIGN_OR_RETURN(auto record,
                          core.GetRecord<storage::ItemRecord>(kItems, ItemKey(catalog, item_id)));
  if (!record.has_value())
    return absl::NotFoundError(absl::StrCat("item ", QuoteForMessage(item_id), " is not known"));
  if (revision < record->content_revision() || revision > record->revision()) {
    return absl::FailedPreconditionError(
        absl::StrCat("item ", QuoteForMessage(item_id), " has moved on from revision ", revision,
                     ": its content is of revision ", record->content_revision()));
  }
  return *std::move(record);
}

// The item's row in the backlog, taken out or marked as failed; the counts follow after the commit.
struct BacklogChange {
  int64_t pending = 0;
  int64_t failed = 0;
};
absl::StatusOr<BacklogChange> LeaveBacklog(const StoreCore& core, uint32_t catalog,
                                           absl::string_view item_id) {
  BacklogChange change;
  PALATE_ASSIGN_OR_RETURN(const auto row,
                          core.GetRecord<storage::EmbeddingRecord>(
                              kCounters, TaggedItemKey(catalog, CounterTag::kEmbedding, item_id)));
  if (row.has_value()) --(row->failure_code() == 0 ? change.pending : change.failed);
  return change;
}

// Removes the item's vectors of target fingerprints that are not among `vectors`.
absl::Status DropOthers(const StoreCore& core, CatalogState& state, absl::string_view item_id,
                        const std::vector<SpaceVector>& vectors, rocksdb::WriteBatch& batch) {
  for (const auto& [name, record] : state.Spaces()) {
    bool kept = false;
    for (const SpaceVector& vector : vectors)
      kept = kept ||
             (vector.space.name == name && vector.space.fingerprint == record.target_fingerprint());
    if (!kept)
      batch.Delete(core.family(kVectors),
                   VectorKey(state.number, item_id, name, record.target_fingerprint()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FeatureStore::PutVectors(absl::string_view catalog, absl::string_view item_id,
                                      int64_t revision, const std::vector<SpaceVector>& vectors,
                                      bool complete) {
  PALATE_ASSIGN_OR_RETURN(auto access, core_->BeginWrite(catalog));
  CatalogState& state = *access.state;
  const StoreLimits& limits = core_->options.limits;
  PALATE_RETURN_IF_ERROR(ValidateId("item_id", item_id, limits));
  if (!complete)
    PALATE_RETURN_IF_ERROR(ValidateBatchSize("vectors", vectors.size(), limits.max_batch));
  PALATE_ASSIGN_OR_RETURN(const std::vector<SpaceVector> unit,
                          UnitVectors(vectors, *access.catalog, limits));
  {
    const LockTable::Hold held(core_->item_locks, {item_id});
    PALATE_ASSIGN_OR_RETURN(const storage::ItemRecord item,
                            CheckRevision(*core_, state.number, item_id, revision));
    rocksdb::WriteBatch batch;
    PALATE_RETURN_IF_ERROR(NoteSpaces(*core_, state, unit, batch));
    BacklogChange backlog;
    if (complete) {
      PALATE_ASSIGN_OR_RETURN(backlog, LeaveBacklog(*core_, state.number, item_id));
      batch.Delete(core_->family(kCounters),
                   TaggedItemKey(state.number, CounterTag::kEmbedding, item_id));
      PALATE_RETURN_IF_ERROR(DropOthers(*core_, state, item_id, unit, batch));
    }
    for (const SpaceVector& vector : unit) {
      storage::VectorRecord record;
      record.set_content_revision(item.content_revision());
      record.set_values(FloatsToBytes(vector.values));
      PutRecord(batch, core_->family(kVectors),
                VectorKey(state.number, item_id, vector.space.name, vector.space.fingerprint),
                record);
    }
    const auto reservation = core_->feed.Reserve(1);
    core_->AddChange(batch, state.number, reservation->first(), ChangeKind::kVectorsChanged,
                     item_id, item.revision());
    PALATE_RETURN_IF_ERROR(core_->Write(batch));
    core_->ForgetCached(state, item_id);
    state.pending += backlog.pending;
    state.failed += backlog.failed;
    ++state.feed_entries;
  }
  core_->MaybeTrimFeed(state);
  access.alive.Release();
  return core_->MaybeSwitchSpaces(state);
}

absl::Status FeatureStore::SetEmbeddingFailure(absl::string_view catalog, absl::string_view item_id,
                                               int64_t revision, const absl::Status& failure) {
  PALATE_ASSIGN_OR_RETURN(auto access, core_->BeginWrite(catalog));
  CatalogState& state = *access.state;
  PALATE_RETURN_IF_ERROR(ValidateId("item_id", item_id, core_->options.limits));
  if (failure.ok()) return InvalidField("failure", "is OK", "an error");
  {
    const LockTable::Hold held(core_->item_locks, {item_id});
    PALATE_ASSIGN_OR_RETURN(const storage::ItemRecord item,
                            CheckRevision(*core_, state.number, item_id, revision));
    PALATE_ASSIGN_OR_RETURN(const BacklogChange backlog,
                            LeaveBacklog(*core_, state.number, item_id));
    storage::EmbeddingRecord record;
    record.set_content_revision(item.content_revision());
    record.set_failure_code(static_cast<int>(failure.code()));
    absl::string_view message = failure.message();
    record.set_failure_message(IsValidUtf8(message) && message.size() <= kMaxFailureBytes
                                   ? std::string(message)
                                   : QuoteForMessage(message, kMaxFailureBytes));
    rocksdb::WriteBatch batch;
    PutRecord(batch, core_->family(kCounters),
              TaggedItemKey(state.number, CounterTag::kEmbedding, item_id), record);
    PALATE_RETURN_IF_ERROR(core_->Write(batch));
    state.pending += backlog.pending;
    state.failed += backlog.failed + 1;
  }
  access.alive.Release();
  return core_->MaybeSwitchSpaces(state);
}

absl::StatusOr<EmbeddingStatus> FeatureStore::GetEmbeddingStatus(absl::string_view catalog,
                                                                 absl::string_view item_id) const {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginRead(catalog));
  PALATE_RETURN_IF_ERROR(ValidateId("item_id", item_id, core_->options.limits));
  const Snapshot snapshot(core_->db());
  const rocksdb::ReadOptions& read = snapshot.read();
  PALATE_ASSIGN_OR_RETURN(auto item, core_->GetRecord<storage::ItemRecord>(
                                         kItems, ItemKey(access.state->number, item_id), read));
  if (!item.has_value())
    return absl::NotFoundError(absl::StrCat("item ", QuoteForMessage(item_id), " is not known"));
  EmbeddingStatus status;
  if (!IsEmbeddable(FromRecord(std::string(item_id), *std::move(item)))) return status;
  PALATE_ASSIGN_OR_RETURN(
      const auto row,
      core_->GetRecord<storage::EmbeddingRecord>(
          kCounters, TaggedItemKey(access.state->number, CounterTag::kEmbedding, item_id), read));
  if (!row.has_value()) {
    status.state = EmbeddingState::kDone;
  } else if (row->failure_code() == 0) {
    status.state = EmbeddingState::kPending;
  } else {
    status.state = EmbeddingState::kFailed;
    status.failure =
        absl::Status(static_cast<absl::StatusCode>(row->failure_code()), row->failure_message());
  }
  return status;
}

absl::StatusOr<int64_t> FeatureStore::EmbeddingBacklog() const {
  PALATE_ASSIGN_OR_RETURN(const SharedHold open, core_->Enter());
  int64_t backlog = 0;
  for (const std::shared_ptr<CatalogState>& state : core_->AllCatalogs()) backlog += state->pending;
  return backlog;
}

absl::StatusOr<std::vector<ActiveSpace>> FeatureStore::GetActiveSpaces(
    absl::string_view catalog) const {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginRead(catalog));
  return access.state->ActiveSpaces();
}

namespace {

// Puts every embeddable item into the backlog. The caller holds the catalog's lifecycle lock
// exclusively.
absl::Status MakeAllPending(StoreCore& core, CatalogState& state) {
  rocksdb::WriteBatch batch;
  int64_t pending = 0;
  size_t rows = 0;
  const std::string prefix = CatalogPrefix(state.number);
  PALATE_RETURN_IF_ERROR(core.ScanPrefix(
      kItems, prefix, "", {},
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        std::string id;
        key.remove_prefix(prefix.size());
        if (!ConsumeId(key, id)) return absl::DataLossError("a stored item has a damaged key");
        PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::ItemRecord>(value, "item"));
        storage::EmbeddingRecord embedding;
        embedding.set_content_revision(record.content_revision());
        if (!IsEmbeddable(FromRecord(id, std::move(record)))) return true;
        PutRecord(batch, core.family(kCounters),
                  TaggedItemKey(state.number, CounterTag::kEmbedding, id), embedding);
        ++pending;
        if (++rows < kRowsPerBatch) return true;
        PALATE_RETURN_IF_ERROR(core.Write(batch));
        batch.Clear();
        rows = 0;
        return true;
      }));
  PALATE_RETURN_IF_ERROR(core.Write(batch));
  state.pending = pending;
  state.failed = 0;
  return absl::OkStatus();
}

}  // namespace

absl::Status FeatureStore::SetTargetSpaces(absl::string_view catalog,
                                           const std::vector<SpaceKey>& targets) {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginRead(catalog));
  CatalogState& state = *access.state;
  const std::shared_ptr<const Catalog> declarations = state.Declarations();
  for (size_t i = 0; i < targets.size(); ++i) {
    PALATE_RETURN_IF_ERROR(ValidateSpaceKey(absl::StrCat("targets[", i, "]"), targets[i],
                                            *declarations, core_->options.limits));
  }
  {
    MutexLock spaces_lock(state.spaces_mutex);
    const ExclusiveHold alone(state.lifecycle);
    if (state.deleted)
      return absl::NotFoundError(
          absl::StrCat("catalog ", QuoteForMessage(catalog), " has been deleted"));
    std::map<std::string, storage::SpaceRecord> spaces = state.Spaces();
    const bool first = spaces.empty();
    rocksdb::WriteBatch batch;
    bool changed = false;
    for (const SpaceKey& target : targets) {
      storage::SpaceRecord& record = spaces[target.name];
      if (record.target_fingerprint() == target.fingerprint) continue;
      changed = true;
      if (record.active_fingerprint().empty()) record.set_active_fingerprint(target.fingerprint);
      record.set_target_fingerprint(target.fingerprint);
      record.set_target_dimensions(
          target.fingerprint == record.active_fingerprint() ? record.active_dimensions() : 0);
      PutRecord(batch, core_->family(kMeta), SpaceRecordKey(state.number, target.name), record);
    }
    if (!changed) return absl::OkStatus();
    // The backlog first: should the process die in between, the next call finds the old targets and
    // begins again. Before the first model every item waits already.
    if (!first) PALATE_RETURN_IF_ERROR(MakeAllPending(*core_, state));
    batch.Put(core_->family(kMeta), StaleVectorsKey(state.number), "");
    PALATE_RETURN_IF_ERROR(core_->Write(batch));
    MutexLock lock(state.mutex);
    state.spaces = std::move(spaces);
  }
  {
    MutexLock spaces_lock(state.spaces_mutex);
    PALATE_RETURN_IF_ERROR(core_->DeleteStaleVectors(state));
  }
  return core_->MaybeSwitchSpaces(state);
}

absl::Status StoreCore::MaybeSwitchSpaces(CatalogState& state) {
  const auto due = [&state] {
    if (state.deleted || state.pending != 0) return false;
    for (const auto& [name, record] : state.Spaces()) {
      if (record.target_fingerprint() != record.active_fingerprint()) return true;
    }
    return false;
  };
  if (!due()) return absl::OkStatus();
  MutexLock spaces_lock(state.spaces_mutex);
  {
    const ExclusiveHold alone(state.lifecycle);
    if (!due()) return absl::OkStatus();
    std::map<std::string, storage::SpaceRecord> spaces = state.Spaces();
    rocksdb::WriteBatch batch;
    for (auto& [name, record] : spaces) {
      if (record.target_fingerprint() == record.active_fingerprint()) continue;
      record.set_active_fingerprint(record.target_fingerprint());
      record.set_active_dimensions(record.target_dimensions());
      PutRecord(batch, family(kMeta), SpaceRecordKey(state.number, name), record);
    }
    batch.Put(family(kMeta), StaleVectorsKey(state.number), "");
    const auto reservation = feed.Reserve(1);
    AddChange(batch, state.number, reservation->first(), ChangeKind::kSpacesSwitched, state.id,
              reservation->first());
    PALATE_RETURN_IF_ERROR(Write(batch));
    ++state.feed_entries;
    MutexLock lock(state.mutex);
    state.spaces = std::move(spaces);
    ++state.switches;
  }
  return DeleteStaleVectors(state);
}

absl::Status StoreCore::DeleteStaleVectors(CatalogState& state) {
  const std::map<std::string, storage::SpaceRecord> spaces = state.Spaces();
  const std::string prefix = CatalogPrefix(state.number);
  rocksdb::WriteBatch batch;
  PALATE_RETURN_IF_ERROR(ScanPrefix(
      kVectors, prefix, "", {},
      [&](absl::string_view key, absl::string_view) -> absl::StatusOr<bool> {
        absl::string_view rest = key.substr(prefix.size());
        std::string item_id;
        std::string name;
        std::string fingerprint;
        if (!ConsumeId(rest, item_id) || !ConsumeId(rest, name) || !ConsumeId(rest, fingerprint)) {
          return absl::DataLossError("a stored vector has a damaged key");
        }
        const auto space = spaces.find(name);
        if (space != spaces.end() && (space->second.active_fingerprint() == fingerprint ||
                                      space->second.target_fingerprint() == fingerprint)) {
          return true;
        }
        batch.Delete(family(kVectors), ToSlice(key));
        if (static_cast<size_t>(batch.Count()) < kRowsPerBatch) return true;
        PALATE_RETURN_IF_ERROR(Write(batch));
        batch.Clear();
        return true;
      }));
  batch.Delete(family(kMeta), StaleVectorsKey(state.number));
  return Write(batch);
}

}  // namespace palate::featurestore
