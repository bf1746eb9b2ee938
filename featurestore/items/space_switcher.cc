#include "featurestore/items/space_switcher.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "featurestore/items/item_batch.h"
#include "featurestore/storage/embedding_state.h"
#include "featurestore/storage/keys.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
namespace {

constexpr size_t kRowsPerBatch = 10000;
// Items that are looked at before all are counted again.
constexpr size_t kMaxUncovered = 100;

bool IsChanging(const storage::SpaceRecord& space) {
  return space.target_fingerprint() != space.active_fingerprint();
}

bool IsSwitchDue(const CatalogState& state) {
  if (!state.CheckNotDeleted().ok() || state.counts().pending != 0) return false;
  for (const auto& [name, record] : state.Spaces()) {
    if (IsChanging(record)) return true;
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
    if (changed) {
      state.uncovered().clear();
      state.SetSwitchRefusals({});
      PALATE_RETURN_IF_ERROR(DeleteStaleVectors(state));
    }
  }
  return SwitchIfDone(state);
}

absl::StatusOr<bool> SpaceSwitcher::StoreTargets(CatalogState& state,
                                                 const std::vector<SpaceKey>& targets) {
  const ExclusiveHold alone(state.lifecycle());
  PALATE_RETURN_IF_ERROR(state.CheckNotDeleted());
  SpaceRecords spaces = state.Spaces();
  const CatalogCounts counts = state.counts();
  // Before the first model every item is pending, unless there was none for the declared spaces:
  // then items have left the backlog without vectors.
  const bool all_pending = spaces.empty() && counts.pending == counts.items;
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
  // begins again.
  if (!all_pending) PALATE_RETURN_IF_ERROR(MakeAllPending(state));
  batch.Put(database_.family(kMeta), StaleVectorsKey(state.number()), "");
  PALATE_RETURN_IF_ERROR(database_.Write(batch));
  state.SetSpaces(std::move(spaces));
  return true;
}

absl::Status SpaceSwitcher::MakeAllPending(CatalogState& state) {
  rocksdb::WriteBatch batch;
  CatalogCounts counts;
  size_t rows = 0;
  const std::string prefix = CatalogPrefix(state.number());
  PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
      kItems, prefix, "", {},
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        std::string id;
        key.remove_prefix(prefix.size());
        if (!ConsumeId(key, id)) return absl::DataLossError("a stored item has a damaged key");
        PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::ItemRecord>(value, "item"));
        const int64_t content_revision = record.content_revision();
        const Item item = FromRecord(id, std::move(record));
        // Parts that the former model could not embed, this one may.
        const storage::EmbeddingRecord row =
            NewEmbeddingRow(item, content_revision, IsEmbeddable(item));
        if (IsEmptyRow(row)) return true;

        PutRecord(batch, database_.family(kCounters),
                  TaggedItemKey(state.number(), CounterTag::kEmbedding, id), row);
        AddRow(row, 1, counts);
        if (++rows < kRowsPerBatch) return true;
        PALATE_RETURN_IF_ERROR(database_.Write(batch));
        batch.Clear();
        rows = 0;
        return true;
      }));

  PALATE_RETURN_IF_ERROR(database_.Write(batch));
  state.ResetBacklog(counts);
  return absl::OkStatus();
}

absl::Status SpaceSwitcher::SwitchIfDone(CatalogState& state) {
  if (!IsSwitchDue(state)) return absl::OkStatus();
  MutexLock spaces_lock(state.spaces_mutex());
  PALATE_ASSIGN_OR_RETURN(const bool uncovered, IsStillUncovered(state));
  if (uncovered) return absl::OkStatus();
  PALATE_ASSIGN_OR_RETURN(const bool switched, Switch(state));
  return switched ? DeleteStaleVectors(state) : absl::OkStatus();
}

absl::StatusOr<bool> SpaceSwitcher::IsStillUncovered(CatalogState& state) {
  const SpaceRecords spaces = state.Spaces();
  std::vector<std::string>& ids = state.uncovered();
  while (!ids.empty()) {
    Coverage coverage;
    PALATE_ASSIGN_OR_RETURN(const bool missing, AddItem(state, ids.back(), spaces, coverage));
    if (missing) return true;
    ids.pop_back();
  }
  return false;
}

absl::StatusOr<bool> SpaceSwitcher::AddItem(const CatalogState& state, const std::string& item_id,
                                            const SpaceRecords& spaces, Coverage& coverage) {
  PALATE_ASSIGN_OR_RETURN(const auto item, database_.GetRecord<storage::ItemRecord>(
                                               kItems, ItemKey(state.number(), item_id)));
  if (!item.has_value()) return false;

  bool any_missing = false;
  for (const auto& [name, space] : spaces) {
    if (!IsChanging(space)) continue;
    const auto key = [&, &name = name](const std::string& fingerprint) {
      return VectorKey(state.number(), item_id, name, fingerprint);
    };
    PALATE_ASSIGN_OR_RETURN(const auto active, database_.GetRecord<storage::VectorRecord>(
                                                   kVectors, key(space.active_fingerprint())));
    // A vector of former content: the active model has failed at the present one.
    if (!active.has_value() || active->content_revision() != item->content_revision()) continue;

    PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> target,
                            database_.Get(kVectors, key(space.target_fingerprint())));
    Uncovered& uncovered = coverage[name];
    if (target.has_value()) {
      ++uncovered.covered;
      continue;
    }
    any_missing = true;
    if (uncovered.missing++ == 0) uncovered.first_id = item_id;
  }
  return any_missing;
}

absl::StatusOr<SpaceSwitcher::Coverage> SpaceSwitcher::CountCoverage(CatalogState& state) {
  const SpaceRecords spaces = state.Spaces();
  const std::string prefix = CatalogPrefix(state.number());
  std::vector<std::string>& uncovered = state.uncovered();
  uncovered.clear();

  Coverage coverage;
  PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
      kItems, prefix, "", {},
      [&](absl::string_view key, absl::string_view) -> absl::StatusOr<bool> {
        std::string id;
        key.remove_prefix(prefix.size());
        if (!ConsumeId(key, id)) return absl::DataLossError("a stored item has a damaged key");
        PALATE_ASSIGN_OR_RETURN(const bool missing, AddItem(state, id, spaces, coverage));
        if (missing && uncovered.size() < kMaxUncovered) uncovered.push_back(std::move(id));
        return true;
      }));
  return coverage;
}

absl::StatusOr<std::string> SpaceSwitcher::Refusal(const CatalogState& state,
                                                   const storage::SpaceRecord& space,
                                                   const Uncovered& uncovered) {
  std::string why = "has no vector of it";
  PALATE_ASSIGN_OR_RETURN(
      const auto row,
      database_.GetRecord<storage::EmbeddingRecord>(
          kCounters, TaggedItemKey(state.number(), CounterTag::kEmbedding, uncovered.first_id)));
  const std::vector<PartFailure> failures =
      row.has_value() ? FailuresOf(*row) : std::vector<PartFailure>();
  if (row.has_value() && HasFailed(*row)) {
    why = absl::StrCat("failed with ", failures.front().status.ToString());
  } else if (!failures.empty()) {
    absl::StrAppend(&why, ": ", Describe(failures.front()));
  }
  return absl::StrCat("model ", space.target_fingerprint(), " lacks ", uncovered.missing,
                      " of the ", uncovered.missing + uncovered.covered, " items that model ",
                      space.active_fingerprint(), " has embedded; item ",
                      QuoteForMessage(uncovered.first_id), " ", why);
}

absl::StatusOr<bool> SpaceSwitcher::Switch(CatalogState& state) {
  // Counted before writers are kept out, because it reads every item; and once more if one wrote
  // meanwhile.
  const int64_t counted_at = state.num_writes();
  PALATE_ASSIGN_OR_RETURN(Coverage coverage, CountCoverage(state));
  const ExclusiveHold alone(state.lifecycle());
  if (!IsSwitchDue(state)) return false;
  if (state.num_writes() != counted_at) {
    PALATE_ASSIGN_OR_RETURN(coverage, CountCoverage(state));
  }

  SpaceRecords spaces = state.Spaces();
  rocksdb::WriteBatch batch;
  std::map<std::string, std::string> refusals;
  bool switches = false;
  for (auto& [name, record] : spaces) {
    if (!IsChanging(record)) continue;
    const Uncovered& uncovered = coverage[name];
    if (uncovered.missing > 0) {
      PALATE_ASSIGN_OR_RETURN(refusals[name], Refusal(state, record, uncovered));
      spdlog::warn("catalog {}: space {} keeps its model: {}", state.id(), name, refusals[name]);
      continue;
    }
    switches = true;
    record.set_active_fingerprint(record.target_fingerprint());
    record.set_active_dimensions(record.target_dimensions());
    PutRecord(batch, database_.family(kMeta), SpaceRecordKey(state.number(), name), record);
  }
  state.SetSwitchRefusals(std::move(refusals));
  if (!switches) return false;

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
    if (stale.has_value()) {
      MutexLock spaces_lock(state->spaces_mutex());
      PALATE_RETURN_IF_ERROR(DeleteStaleVectors(*state));
    }
    PALATE_RETURN_IF_ERROR(SwitchIfDone(*state));
  }
  return absl::OkStatus();
}

}  // namespace palate::featurestore
