#include "retrieval/follower.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"

namespace palate::retrieval {
namespace {

constexpr size_t kItemsPerCall = 256;
constexpr absl::Duration kRefreshCatalogsEvery = absl::Seconds(10);

// The changed items of one catalog, each with the newest revision in the feed.
using ChangedItems = std::map<std::string, int64_t>;

}  // namespace

struct Follower::Impl {
  Impl(ChangeSource& s, IndexSet& i, const Clock& c, FollowerOptions o)
      : source(s), indexes(i), clock(c), options(o) {}

  void Run();
  absl::Status Follow();
  absl::Status RefreshCatalogs();
  absl::Status ListWhereDue();
  void RequireListing(const std::string& catalog);
  absl::Status ListCatalog(const std::string& catalog, CatalogIndex& index);
  absl::Status ApplyBatch(const ChangeBatch& batch);
  absl::Status ApplyItems(const std::string& catalog, const ChangedItems& changed);
  absl::Status ApplyChunk(const std::string& catalog, CatalogIndex& index,
                          const std::vector<std::string>& ids, const ChangedItems& changed);
  void Lost(const absl::Status& why);
  void Connected();
  bool Stopping() const {
    MutexLock lock(mutex);
    return stopping;
  }

  ChangeSource& source;
  IndexSet& indexes;
  const Clock& clock;
  const FollowerOptions options;

  // Used by the follower's thread. Which catalogs are to be listed is part of their indexes' state.
  absl::Time next_refresh = absl::InfinitePast();
  absl::Duration backoff;

  mutable Mutex mutex;
  CondVar stop_changed;
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  FollowerStats stats ABSL_GUARDED_BY(mutex);
  absl::Time behind_since ABSL_GUARDED_BY(mutex) =
      absl::InfiniteFuture();  // infinite future: not behind

  std::thread thread;
};

namespace {

// Drops items that Apply() would refuse, because one bad item must not stop all others.
std::vector<ItemUpdate> Usable(const std::string& catalog, std::vector<ItemUpdate> items) {
  std::erase_if(items, [&](const ItemUpdate& item) {
    if (!item.item_id.empty() && item.revision > 0) return false;
    spdlog::error("retrieval: catalog {}: item {} with revision {} is left out", catalog,
                  QuoteForMessage(item.item_id), item.revision);
    return true;
  });
  return items;
}

}  // namespace

void Follower::Impl::Connected() {
  backoff = options.min_backoff;
  MutexLock lock(mutex);
  stats.connected = true;
  stats.last_error.clear();
}

void Follower::Impl::Lost(const absl::Status& why) {
  MutexLock lock(mutex);
  const bool was_connected = stats.connected;
  stats.connected = false;
  stats.last_error = why.ToString();
  behind_since = std::min(behind_since, clock.Now());

  if (!was_connected) return;
  ++stats.reconnects;
  spdlog::warn(
      "retrieval: cannot follow the feature store ({}); searches use the items that are indexed",
      stats.last_error);
}

void Follower::Impl::Run() {
  backoff = options.min_backoff;
  while (!Stopping()) {
    const absl::Status status = Follow();
    if (Stopping()) return;
    Lost(status);
    MutexLock lock(mutex);
    if (!stopping) stop_changed.WaitFor(mutex, backoff);
    backoff = std::min(backoff * 2, options.max_backoff);
  }
}

// Lists the pending catalogs, then follows the feed until a call fails.
absl::Status Follower::Impl::Follow() {
  std::string position = indexes.position();
  const bool list_all = position.empty();
  if (list_all) {
    // Before the listing, so that changes made during the listing are in the feed after it.
    PALATE_ASSIGN_OR_RETURN(position, source.CurrentPosition());
    for (const std::string& catalog : indexes.Catalogs()) RequireListing(catalog);
  }
  PALATE_RETURN_IF_ERROR(RefreshCatalogs());
  PALATE_RETURN_IF_ERROR(ListWhereDue());
  if (list_all) indexes.SetPosition(position);
  {
    MutexLock lock(mutex);
    stats.ready = true;
  }
  Connected();

  while (!Stopping()) {
    const absl::StatusOr<ChangeBatch> watched =
        source.WatchChanges(position, options.watch_timeout);
    if (absl::IsOutOfRange(watched.status()) || absl::IsInvalidArgument(watched.status())) {
      // The feed was trimmed, or the position is of another store.
      spdlog::warn("retrieval: the feed cannot be resumed ({}): all catalogs are listed again",
                   watched.status().ToString());
      indexes.SetPosition("");
    }
    PALATE_RETURN_IF_ERROR(watched.status());

    const ChangeBatch& batch = *watched;
    Connected();
    {
      MutexLock lock(mutex);
      behind_since = absl::InfiniteFuture();
      for (const Change& change : batch.changes) {
        behind_since =
            std::min(behind_since, change.time == absl::InfinitePast() ? clock.Now() : change.time);
      }
    }

    PALATE_RETURN_IF_ERROR(ApplyBatch(batch));
    position = batch.next_position;
    indexes.SetPosition(position);

    MutexLock lock(mutex);
    stats.changes += static_cast<int64_t>(batch.changes.size());
    behind_since = absl::InfiniteFuture();
  }
  return absl::CancelledError("stopped");
}

absl::Status Follower::Impl::RefreshCatalogs() {
  PALATE_ASSIGN_OR_RETURN(std::vector<CatalogConfig> catalogs, source.ListCatalogs());
  next_refresh = absl::Now() + kRefreshCatalogsEvery;
  std::set<std::string> existing;
  for (CatalogConfig& catalog : catalogs) {
    existing.insert(catalog.id);
    indexes.Upsert(std::move(catalog));
  }

  for (const std::string& known : indexes.Catalogs()) {
    if (existing.contains(known)) continue;
    spdlog::info("retrieval: catalog {} was deleted", known);
    indexes.Drop(known);
  }
  return absl::OkStatus();
}

void Follower::Impl::RequireListing(const std::string& catalog) {
  const absl::StatusOr<std::shared_ptr<CatalogIndex>> index = indexes.Find(catalog);
  if (index.ok()) (*index)->RequireListing();
}

absl::Status Follower::Impl::ListWhereDue() {
  for (const std::string& catalog : indexes.Catalogs()) {
    const absl::StatusOr<std::shared_ptr<CatalogIndex>> index = indexes.Find(catalog);
    if (!index.ok() || !(*index)->listing_due()) continue;
    const absl::Status listed = ListCatalog(catalog, **index);
    // NotFound: deleted in the meantime; the next refresh drops it.
    if (!listed.ok() && !absl::IsNotFound(listed)) return listed;
  }
  return absl::OkStatus();
}

absl::Status Follower::Impl::ListCatalog(const std::string& catalog, CatalogIndex& index) {
  index.BeginListing();
  absl::flat_hash_set<std::string> listed;
  std::string page_token;
  do {
    PALATE_ASSIGN_OR_RETURN(ItemPage page, source.ListItems(catalog, page_token));
    const std::vector<ItemUpdate> items = Usable(catalog, std::move(page.items));
    for (const ItemUpdate& item : items) listed.insert(item.item_id);
    PALATE_RETURN_IF_ERROR(index.ApplyListed(items).status());
    page_token = std::move(page.next_page_token);
    if (Stopping()) return absl::CancelledError("stopped");
  } while (!page_token.empty());

  const int64_t removed = index.EndListing(listed);
  spdlog::info("retrieval: catalog {}: listed {} items, removed {}", catalog, listed.size(),
               removed);
  MutexLock lock(mutex);
  ++stats.listings;
  return absl::OkStatus();
}

absl::Status Follower::Impl::ApplyBatch(const ChangeBatch& batch) {
  bool refresh = absl::Now() >= next_refresh;
  std::map<std::string, ChangedItems> changed;
  for (const Change& change : batch.changes) {
    if (change.kind == Change::Kind::kCatalogDeleted) {
      // Dropped even if a new catalog has the name, because the new one shares no items with it.
      indexes.Drop(change.catalog);
      changed.erase(change.catalog);
    }
    if (change.kind == Change::Kind::kCatalog || change.kind == Change::Kind::kCatalogDeleted) {
      refresh = true;
      continue;
    }
    refresh = refresh || !indexes.Find(change.catalog).ok();
    int64_t& revision = changed[change.catalog][change.item_id];
    revision = std::max(revision, change.revision);
  }

  if (refresh) {
    PALATE_RETURN_IF_ERROR(RefreshCatalogs());
    PALATE_RETURN_IF_ERROR(ListWhereDue());
  }

  for (const auto& [catalog, items] : changed) PALATE_RETURN_IF_ERROR(ApplyItems(catalog, items));
  return absl::OkStatus();
}

absl::Status Follower::Impl::ApplyItems(const std::string& catalog, const ChangedItems& changed) {
  const absl::StatusOr<std::shared_ptr<CatalogIndex>> index = indexes.Find(catalog);
  if (!index.ok()) return absl::OkStatus();  // deleted since

  std::vector<std::string> ids;
  for (const auto& [id, revision] : changed) {
    ids.push_back(id);
    if (ids.size() < kItemsPerCall) continue;
    PALATE_RETURN_IF_ERROR(ApplyChunk(catalog, **index, ids, changed));
    ids.clear();
  }
  return ids.empty() ? absl::OkStatus() : ApplyChunk(catalog, **index, ids, changed);
}

// The feed names the changed items, and the store has their current values: an item that is no
// longer in the store is deleted.
absl::Status Follower::Impl::ApplyChunk(const std::string& catalog, CatalogIndex& index,
                                        const std::vector<std::string>& ids,
                                        const ChangedItems& changed) {
  absl::StatusOr<std::vector<ItemUpdate>> items = source.GetItems(catalog, ids);
  if (absl::IsNotFound(items.status()))
    return absl::OkStatus();  // the catalog was deleted since; a later change in the feed drops it
  PALATE_RETURN_IF_ERROR(items.status());

  std::set<absl::string_view> present;
  for (const ItemUpdate& item : *items) present.insert(item.item_id);
  std::vector<ItemDelete> deletes;
  for (const std::string& id : ids) {
    if (!id.empty() && !present.contains(id))
      deletes.push_back({.item_id = id, .revision = std::max<int64_t>(1, changed.at(id))});
  }
  return index.Apply(Usable(catalog, *std::move(items)), deletes).status();
}

Follower::Follower(ChangeSource& source, IndexSet& indexes, const Clock& clock,
                   FollowerOptions options)
    : impl_(std::make_unique<Impl>(source, indexes, clock, options)) {}

Follower::~Follower() { Stop(); }

void Follower::Start() {
  {
    MutexLock lock(impl_->mutex);
    // Restored catalogs can be served even while the store is down.
    impl_->stats.ready = !impl_->indexes.position().empty();
  }
  // Catalogs that are not in the snapshot's manifest have to be listed.
  const std::vector<std::string> restored = impl_->indexes.RestoredCatalogs();
  for (const std::string& catalog : impl_->indexes.Catalogs()) {
    if (std::find(restored.begin(), restored.end(), catalog) == restored.end())
      impl_->RequireListing(catalog);
  }
  impl_->thread = std::thread([this] { impl_->Run(); });
}

void Follower::Stop() {
  {
    MutexLock lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->stop_changed.SignalAll();
  if (!impl_->thread.joinable()) return;
  impl_->source.Cancel();
  impl_->thread.join();
}

bool Follower::ready() const {
  MutexLock lock(impl_->mutex);
  return impl_->stats.ready;
}

FollowerStats Follower::GetStats() const {
  MutexLock lock(impl_->mutex);
  FollowerStats stats = impl_->stats;
  stats.lag = std::max(absl::ZeroDuration(), impl_->clock.Now() - impl_->behind_since);
  return stats;
}

}  // namespace palate::retrieval
