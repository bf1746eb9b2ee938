#include "featurestore/storage/catalog_registry.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"

namespace palate::featurestore {

absl::Status CatalogRegistry::Load() {
  const std::string prefix(1, kKeyFormat);
  PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
      kCatalogs, prefix, "", {},
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        std::string id;
        key.remove_prefix(prefix.size());
        if (!ConsumeId(key, id) || !key.empty())
          return absl::DataLossError("a stored catalog has a damaged key");
        PALATE_ASSIGN_OR_RETURN(const auto record,
                                ParseRecord<storage::CatalogRecord>(value, "catalog"));
        PALATE_ASSIGN_OR_RETURN(Catalog catalog, FromRecord(id, record));

        auto state = std::make_shared<CatalogState>(record.number(), id);
        state->SetDeclarations(std::move(catalog));
        Add(std::move(state));
        return true;
      }));

  for (const std::shared_ptr<CatalogState>& state : All()) {
    PALATE_RETURN_IF_ERROR(LoadCounts(*state));
    PALATE_RETURN_IF_ERROR(LoadSpaces(*state));
    PALATE_RETURN_IF_ERROR(state->item_numbers().Load(database_));
  }
  return absl::OkStatus();
}

absl::Status CatalogRegistry::LoadCounts(CatalogState& state) const {
  const auto load = [&](CounterTag tag, int64_t& into) -> absl::Status {
    PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                            database_.Get(kCounters, CounterPrefix(state.number(), tag)));
    if (!row.has_value()) return absl::OkStatus();
    PALATE_ASSIGN_OR_RETURN(into, DecodeCount(*row));
    return absl::OkStatus();
  };
  CatalogCounts counts;
  int64_t newest_event_us = state.newest_event_us();
  PALATE_RETURN_IF_ERROR(load(CounterTag::kItems, counts.items));
  PALATE_RETURN_IF_ERROR(load(CounterTag::kUsers, counts.users));
  PALATE_RETURN_IF_ERROR(load(CounterTag::kEvents, counts.events));
  PALATE_RETURN_IF_ERROR(load(CounterTag::kNewestEvent, newest_event_us));

  PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
      kCounters, CounterPrefix(state.number(), CounterTag::kEmbedding), "", {},
      [&](absl::string_view, absl::string_view value) -> absl::StatusOr<bool> {
        PALATE_ASSIGN_OR_RETURN(const auto record,
                                ParseRecord<storage::EmbeddingRecord>(value, "embedding state"));
        AddRow(record, 1, counts);
        return true;
      }));

  state.AddCounts(counts);
  state.SawEventAt(newest_event_us);
  return absl::OkStatus();
}

absl::Status CatalogRegistry::LoadSpaces(CatalogState& state) const {
  const std::string prefix = SpacePrefix(state.number());
  SpaceRecords spaces;
  PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
      kMeta, prefix, "", {},
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        PALATE_ASSIGN_OR_RETURN(spaces[std::string(key.substr(prefix.size()))],
                                ParseRecord<storage::SpaceRecord>(value, "space"));
        return true;
      }));
  state.SetSpaces(std::move(spaces));
  return absl::OkStatus();
}

absl::StatusOr<ReadAccess> CatalogRegistry::BeginRead(absl::string_view catalog) {
  PALATE_ASSIGN_OR_RETURN(SharedHold open, database_.Enter());
  MutexLock lock(catalogs_mutex_);
  const auto found = catalogs_.find(catalog);
  if (found == catalogs_.end())
    return absl::NotFoundError(absl::StrCat("catalog ", QuoteForMessage(catalog), " is not known"));
  return ReadAccess{std::move(open), found->second};
}

absl::StatusOr<WriteAccess> CatalogRegistry::BeginWrite(absl::string_view catalog) {
  PALATE_ASSIGN_OR_RETURN(ReadAccess read, BeginRead(catalog));
  SharedHold alive(read.state->lifecycle());
  PALATE_RETURN_IF_ERROR(read.state->CheckNotDeleted());

  std::shared_ptr<const Catalog> declarations = read.state->Declarations();
  return WriteAccess{std::move(read.open), std::move(read.state), std::move(alive),
                     std::move(declarations)};
}

absl::StatusOr<ReadAccess> CatalogRegistry::BeginReadFeed(absl::string_view catalog) {
  if (!catalog.empty()) return BeginRead(catalog);
  PALATE_ASSIGN_OR_RETURN(SharedHold open, database_.Enter());
  return ReadAccess{std::move(open), catalog_feed_};
}

std::vector<std::shared_ptr<CatalogState>> CatalogRegistry::All() const {
  MutexLock lock(catalogs_mutex_);
  std::vector<std::shared_ptr<CatalogState>> all;
  for (const auto& [id, state] : catalogs_) all.push_back(state);
  return all;
}

void CatalogRegistry::Add(std::shared_ptr<CatalogState> state) {
  MutexLock lock(catalogs_mutex_);
  catalogs_[state->id()] = std::move(state);
}

void CatalogRegistry::Remove(const std::string& id) {
  MutexLock lock(catalogs_mutex_);
  catalogs_.erase(id);
}

}  // namespace palate::featurestore
