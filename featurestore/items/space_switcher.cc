#include "featurestore/items/space_switcher.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "featurestore/items/item_batch.h"
#include "featurestore/storage/keys.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
namespace {

constexpr size_t kRowsPerBatch = 10000;

bool IsSwitchDue(const CatalogState& state) {
  if (!state.CheckNotDeleted().ok() || state.counts().pending != 0) return false;
  for (const auto& [name, record] : state.Spaces()) {
    if (record.target_fingerprint() != record.active_fingerprint()) return true;
  }
  return false;
}

}  // namespace

SpaceSwitcher::SpaceSwitcher(Storage& storage)
    : database_(storage.database()),
      catalogs_(storage.catalogs()),
      changes_(storage.changes()),
      options_(storage.options()) {}

absl::StatusOr<std::vector<ActiveSpace>> SpaceSwitcher::GetActive(absl::string_view catalog) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginRead(catalog));
  return access.state->ActiveSpaces();
}

absl::Status SpaceSwitcher::SetTargets(absl::string_view catalog,
                                       const std::vector<SpaceKey>& targets) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginRead(catalog));
  CatalogState& state = *access.state;
  const std::shared_ptr<const Catalog> declarations = state.Declarations();
  for (size_t i = 0; i < targets.size(); ++i) {
    PALATE_RETURN_IF_ERROR(ValidateSpaceKey(absl::StrCat("targets[", i, "]"), targets[i],
                                            *declarations, options_.limits));
  }

  {
    MutexLock spaces_lock(state.spaces_mutex());
    PALATE_ASSIGN_OR_RETURN(const bool changed, StoreTargets(state, targets));
    if (!changed) return absl::OkStatus();
    PALATE_RETURN_IF_ERROR(DeleteStaleVectors(state));
  }
  return SwitchIfDone(state);
}

absl::StatusOr<bool> SpaceSwitcher::StoreTargets(CatalogState& state,
                                                 const std::vector<SpaceKey>& targets) {
  const ExclusiveHold alone(state.lifecycle());
  PALATE_RETURN_IF_ERROR(state.CheckNotDeleted());
  SpaceRecords spaces = state.Spaces();
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
    PutRecord(batch, database_.family(kMeta), SpaceRecordKey(state.number(), target.name), record);
  }
  if (!changed) return false;

  // The backlog first: if the process dies in between, the next call finds the old targets and
  // begins again. Before the first model every item is pending already.
  if (!first) PALATE_RETURN_IF_ERROR(MakeAllPending(state));
  batch.Put(database_.family(kMeta), StaleVectorsKey(state.number()), "");
  PALATE_RETURN_IF_ERROR(database_.Write(batch));
  state.SetSpaces(std::move(spaces));
  return true;
}

absl::Status SpaceSwitcher::MakeAllPending(CatalogState& state) {
  rocksdb::WriteBatch batch;
  int64_t pending = 0;
  size_t rows = 0;
  const std::string prefix = CatalogPrefix(state.number());
  PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
      kItems, prefix, "", {},
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        std::string id;
        key.remove_prefix(prefix.size());
        if (!ConsumeId(key, id)) return absl::DataLossError("a stored item has a damaged key");
        PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::ItemRecord>(value, "item"));
        storage::EmbeddingRecord embedding;
        embedding.set_content_revision(record.content_revision());
        if (!IsEmbeddable(FromRecord(id, std::move(record)))) return true;

        PutRecord(batch, database_.family(kCounters),
                  TaggedItemKey(state.number(), CounterTag::kEmbedding, id), embedding);
        ++pending;
        if (++rows < kRowsPerBatch) return true;
        PALATE_RETURN_IF_ERROR(database_.Write(batch));
        batch.Clear();
        rows = 0;
        return true;
      }));

  PALATE_RETURN_IF_ERROR(database_.Write(batch));
  state.ResetBacklog(pending);
  return absl::OkStatus();
}

absl::Status SpaceSwitcher::SwitchIfDone(CatalogState& state) {
  if (!IsSwitchDue(state)) return absl::OkStatus();
  MutexLock spaces_lock(state.spaces_mutex());
  PALATE_ASSIGN_OR_RETURN(const bool switched, Switch(state));
  return switched ? DeleteStaleVectors(state) : absl::OkStatus();
}

absl::StatusOr<bool> SpaceSwitcher::Switch(CatalogState& state) {
  const ExclusiveHold alone(state.lifecycle());
  if (!IsSwitchDue(state)) return false;

  SpaceRecords spaces = state.Spaces();
  rocksdb::WriteBatch batch;
  for (auto& [name, record] : spaces) {
    if (record.target_fingerprint() == record.active_fingerprint()) continue;
    record.set_active_fingerprint(record.target_fingerprint());
    record.set_active_dimensions(record.target_dimensions());
    PutRecord(batch, database_.family(kMeta), SpaceRecordKey(state.number(), name), record);
  }
  batch.Put(database_.family(kMeta), StaleVectorsKey(state.number()), "");
  const auto reservation = changes_.Reserve(1);
  changes_.Add(batch, state.number(), reservation->first(), ChangeKind::kSpacesSwitched, state.id(),
               reservation->first());

  PALATE_RETURN_IF_ERROR(database_.Write(batch));
  state.AddCounts({.feed_entries = 1});
  state.SwitchSpaces(std::move(spaces));
  return true;
}

absl::Status SpaceSwitcher::DeleteStaleVectors(CatalogState& state) {
  const SpaceRecords spaces = state.Spaces();
  const std::string prefix = CatalogPrefix(state.number());
  rocksdb::WriteBatch batch;
  PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
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

        batch.Delete(database_.family(kVectors), ToSlice(key));
        if (static_cast<size_t>(batch.Count()) < kRowsPerBatch) return true;
        PALATE_RETURN_IF_ERROR(database_.Write(batch));
        batch.Clear();
        return true;
      }));

  batch.Delete(database_.family(kMeta), StaleVectorsKey(state.number()));
  return database_.Write(batch);
}

absl::Status SpaceSwitcher::FinishInterrupted() {
  for (const std::shared_ptr<CatalogState>& state : catalogs_.All()) {
    PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> stale,
                            database_.Get(kMeta, StaleVectorsKey(state->number())));
    if (!stale.has_value()) continue;
    MutexLock spaces_lock(state->spaces_mutex());
    PALATE_RETURN_IF_ERROR(DeleteStaleVectors(*state));
  }
  return absl::OkStatus();
}

}  // namespace palate::featurestore
