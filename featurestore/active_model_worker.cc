#include "featurestore/active_model_worker.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"

namespace palate::featurestore {
namespace {

constexpr int kChangesPerRead = 1000;

// The active models of spaces that change to another one.
std::vector<SpaceKey> FormerModels(const std::vector<ActiveSpace>& spaces) {
  std::vector<SpaceKey> former;
  for (const ActiveSpace& space : spaces) {
    if (space.active_fingerprint != space.target_fingerprint)
      former.push_back({space.name, space.active_fingerprint});
  }
  return former;
}

}  // namespace

ActiveModelWorker::ActiveModelWorker(FeatureStore* store, ItemEmbedder* embedder,
                                     ActiveModelWorkerOptions options)
    : store_(store),
      embedder_(embedder),
      options_(options),
      listener_(store->AddFeedListener([this] { Wake(); })),
      thread_([this] { Run(); }) {}

ActiveModelWorker::~ActiveModelWorker() {
  store_->RemoveFeedListener(listener_);
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.SignalAll();
  }
  thread_.join();
}

ActiveModelWorker::Stats ActiveModelWorker::stats() const {
  MutexLock lock(mutex_);
  return stats_;
}

void ActiveModelWorker::Wake() {
  MutexLock lock(mutex_);
  woken_ = true;
  wake_.SignalAll();
}

bool ActiveModelWorker::Stopping() const {
  MutexLock lock(mutex_);
  return stopping_;
}

void ActiveModelWorker::Run() {
  absl::Duration backoff = options_.retry_min;
  while (!Stopping()) {
    {
      MutexLock lock(mutex_);
      woken_ = false;
    }
    const absl::Status status = RunRound();

    MutexLock lock(mutex_);
    if (status.ok()) {
      backoff = options_.retry_min;
      const absl::Time next = absl::Now() + options_.rescan;
      while (!woken_ && !stopping_ && absl::Now() < next) wake_.WaitFor(mutex_, next - absl::Now());
      continue;
    }

    ++stats_.failed_calls;
    if (stats_.last_error != status)
      spdlog::warn("new items are not findable yet: {}; trying again", status.ToString());
    stats_.last_error = status;
    const absl::Time next = absl::Now() + backoff;
    while (!stopping_ && absl::Now() < next) wake_.WaitFor(mutex_, next - absl::Now());
    backoff = std::min(backoff * 2, options_.retry_max);
  }
}

absl::Status ActiveModelWorker::RunRound() {
  absl::Status status;
  std::string token;
  do {
    PALATE_ASSIGN_OR_RETURN(const CatalogPage page, store_->ListCatalogs(0, token));
    for (const Catalog& catalog : page.catalogs) {
      if (Stopping()) return status;
      const absl::Status round = RunCatalog(catalog);
      // NOT_FOUND: the catalog has been deleted meanwhile.
      if (!absl::IsNotFound(round)) status.Update(round);
    }
    token = page.next_page_token;
  } while (!token.empty());
  return status;
}

absl::StatusOr<ChangeBatch> ActiveModelWorker::NextChanges(const Catalog& catalog) {
  std::string& position = positions_[catalog.id];
  auto batch = store_->ReadChanges(catalog.id, position, kChangesPerRead, absl::InfinitePast());
  if (!absl::IsOutOfRange(batch.status())) return batch;
  position.clear();
  return store_->ReadChanges(catalog.id, position, kChangesPerRead, absl::InfinitePast());
}

absl::Status ActiveModelWorker::RunCatalog(const Catalog& catalog) {
  while (!Stopping()) {
    PALATE_ASSIGN_OR_RETURN(const std::vector<ActiveSpace> spaces,
                            store_->GetActiveSpaces(catalog.id));
    const std::vector<SpaceKey> active = FormerModels(spaces);
    if (active.empty()) {
      positions_.erase(catalog.id);
      return absl::OkStatus();
    }

    PALATE_ASSIGN_OR_RETURN(ChangeBatch batch, NextChanges(catalog));
    if (batch.changes.empty()) return absl::OkStatus();
    std::set<std::string> changed;
    for (Change& change : batch.changes) {
      if (change.kind == ChangeKind::kItemUpserted) changed.insert(std::move(change.key));
    }
    if (!changed.empty()) {
      PALATE_ASSIGN_OR_RETURN(
          const std::vector<std::string> ids,
          store_->ItemsWithoutActiveVectors(catalog.id, {changed.begin(), changed.end()}));
      const auto batch_items = static_cast<size_t>(options_.batch_items);
      for (size_t begin = 0; begin < ids.size() && !Stopping(); begin += batch_items) {
        const size_t end = std::min(ids.size(), begin + batch_items);
        PALATE_RETURN_IF_ERROR(Embed(catalog, active, {ids.begin() + begin, ids.begin() + end}));
      }
    }
    positions_[catalog.id] = std::move(batch.next_token);
  }
  return absl::OkStatus();
}

absl::Status ActiveModelWorker::Embed(const Catalog& catalog, const std::vector<SpaceKey>& active,
                                      const std::vector<std::string>& item_ids) {
  PALATE_ASSIGN_OR_RETURN(const GetItemsResult read,
                          store_->GetItems(catalog.id, item_ids, {.image_bytes = true}));
  std::vector<const StoredItem*> stored;
  std::vector<EmbedItem> items;
  std::vector<std::string> too_many;  // their pictures do not fit into one read with the others'
  for (const std::optional<StoredItem>& item : read.items) {
    if (!item.has_value()) continue;
    stored.push_back(&*item);
    items.push_back(ToEmbedItem(*item));
  }
  for (const ElementFailure& failure : read.failures) {
    if (absl::IsResourceExhausted(failure.status)) too_many.push_back(item_ids[failure.index]);
  }

  if (!items.empty()) {
    PALATE_ASSIGN_OR_RETURN(const auto embedded, embedder_->EmbedFor(catalog, active, items));
    if (embedded.size() != items.size()) {
      return absl::InternalError(
          absl::StrCat("the embedder answered ", embedded.size(), " of ", items.size(), " items"));
    }
    for (size_t i = 0; i < items.size(); ++i) {
      if (embedded[i].empty()) continue;
      const Item& item = stored[i]->item;
      const absl::Status status =
          store_->PutVectors(catalog.id, item.id, item.revision, embedded[i]);
      if (status.ok()) {
        MutexLock lock(mutex_);
        ++stats_.embedded;
      } else if (absl::IsInvalidArgument(status)) {
        spdlog::warn("catalog {}: item {} is found after the change of models: {}", catalog.id,
                     item.id, status.ToString());
      } else if (!absl::IsFailedPrecondition(status) && !absl::IsNotFound(status)) {
        return status;
      }
      // Otherwise the item has changed, which the feed reports, or the space has.
    }
  }
  return too_many.empty() || items.empty() ? absl::OkStatus() : Embed(catalog, active, too_many);
}

}  // namespace palate::featurestore
