#include "featurestore/storage/catalog_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/storage/embedding_state.h"

namespace palate::featurestore {

void AddRow(const storage::EmbeddingRecord& row, int64_t times, CatalogCounts& counts) {
  if (IsWaiting(row)) counts.pending += times;
  if (HasFailed(row)) counts.failed += times;
  if (!HasFailed(row) && !row.failed_parts().empty()) counts.flawed += times;
}

CatalogState::CatalogState(uint32_t number, std::string id)
    : number_(number), id_(std::move(id)), item_numbers_(number) {}

absl::Status CatalogState::CheckNotDeleted() const {
  MutexLock lock(mutex_);
  if (!deleted_) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("catalog ", QuoteForMessage(id_), " has been deleted"));
}

void CatalogState::MarkDeleted() {
  MutexLock lock(mutex_);
  deleted_ = true;
}

std::shared_ptr<const Catalog> CatalogState::Declarations() const {
  MutexLock lock(mutex_);
  return catalog_;
}

void CatalogState::SetDeclarations(Catalog catalog) {
  auto declarations = std::make_shared<const Catalog>(std::move(catalog));
  MutexLock lock(mutex_);
  catalog_ = std::move(declarations);
}

SpaceRecords CatalogState::Spaces() const {
  MutexLock lock(mutex_);
  return spaces_;
}

std::vector<ActiveSpace> CatalogState::ActiveSpaces() const {
  MutexLock lock(mutex_);
  std::vector<ActiveSpace> active;
  for (const auto& [name, record] : spaces_) {
    ActiveSpace space = {name, record.active_fingerprint(), record.target_fingerprint()};
    const auto refusal = switch_refusals_.find(name);
    const bool waits = space.active_fingerprint != space.target_fingerprint;
    if (waits && refusal != switch_refusals_.end()) space.switch_refusal = refusal->second;
    active.push_back(std::move(space));
  }
  return active;
}

void CatalogState::SetSpaces(SpaceRecords spaces) {
  MutexLock lock(mutex_);
  spaces_ = std::move(spaces);
}

absl::Status CatalogState::UpdateSpaces(const std::function<absl::Status(SpaceRecords&)>& change) {
  MutexLock lock(mutex_);
  SpaceRecords spaces = spaces_;
  PALATE_RETURN_IF_ERROR(change(spaces));
  spaces_ = std::move(spaces);
  return absl::OkStatus();
}

void CatalogState::SwitchSpaces(SpaceRecords spaces) {
  MutexLock lock(mutex_);
  spaces_ = std::move(spaces);
  ++switches_;
}

void CatalogState::SetSwitchRefusals(std::map<std::string, std::string> refusals) {
  MutexLock lock(mutex_);
  switch_refusals_ = std::move(refusals);
}

int64_t CatalogState::num_writes() const {
  MutexLock lock(mutex_);
  return num_writes_;
}

int64_t CatalogState::switches() const {
  MutexLock lock(mutex_);
  return switches_;
}

CatalogCounts CatalogState::counts() const {
  MutexLock lock(mutex_);
  return counts_;
}

void CatalogState::AddCounts(const CatalogCounts& delta) {
  MutexLock lock(mutex_);
  ++num_writes_;
  counts_.items += delta.items;
  counts_.users += delta.users;
  counts_.events += delta.events;
  counts_.pending += delta.pending;
  counts_.failed += delta.failed;
  counts_.flawed += delta.flawed;
  counts_.feed_entries += delta.feed_entries;
}

void CatalogState::ResetBacklog(const CatalogCounts& counts) {
  MutexLock lock(mutex_);
  ++num_writes_;
  counts_.pending = counts.pending;
  counts_.failed = 0;
  counts_.flawed = counts.flawed;
}

int64_t CatalogState::newest_event_us() const {
  MutexLock lock(mutex_);
  return newest_event_us_;
}

void CatalogState::SawEventAt(int64_t time_us) {
  MutexLock lock(mutex_);
  newest_event_us_ = std::max(newest_event_us_, time_us);
}

int64_t CatalogState::trim_position() const {
  MutexLock lock(mutex_);
  return trim_position_;
}

void CatalogState::SetTrimPosition(int64_t position) {
  MutexLock lock(mutex_);
  trim_position_ = position;
}

}  // namespace palate::featurestore
