// A feature store in memory for tests of retrieval: catalogs, items, and a feed whose tokens are
// numbers of entries. It can be down, and can trim its feed. Thread-safe.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/mutex.h"
#include "retrieval/change_source.h"

namespace palate::retrieval {

class FakeChangeSource final : public ChangeSource {
 public:
  void PutCatalog(CatalogConfig config) {
    MutexLock lock(mutex_);
    const std::string id = config.id;
    catalogs_[id].config = std::move(config);
    Append({.kind = Change::Kind::kCatalog, .catalog = id});
  }
  void DropCatalog(const std::string& id) {
    MutexLock lock(mutex_);
    catalogs_.erase(id);
    Append({.kind = Change::Kind::kCatalogDeleted, .catalog = id});
  }
  void PutItem(ItemUpdate item, const std::string& catalog = "movies") {
    MutexLock lock(mutex_);
    Append({.kind = Change::Kind::kItem,
            .catalog = catalog,
            .item_id = item.item_id,
            .revision = item.revision});
    catalogs_[catalog].items[item.item_id] = std::move(item);
  }
  void DeleteItem(const std::string& id, int64_t revision, const std::string& catalog = "movies") {
    MutexLock lock(mutex_);
    catalogs_[catalog].items.erase(id);
    Append(
        {.kind = Change::Kind::kDelete, .catalog = catalog, .item_id = id, .revision = revision});
  }
  void SetDown(bool down) {
    MutexLock lock(mutex_);
    down_ = down;
    changed_.SignalAll();
  }
  // ListItems answers this many more pages and is unavailable then.
  void AllowPages(int pages) {
    MutexLock lock(mutex_);
    pages_allowed_ = pages;
  }
  int pages_refused() const {
    MutexLock lock(mutex_);
    return pages_refused_;
  }
  // A copy of the content, and the return to it: positions from before the return are then of
  // another history.
  struct Copy;
  std::shared_ptr<const Copy> Save() const;
  void ReturnTo(const Copy& copy);
  void Trim() {
    MutexLock lock(mutex_);
    trimmed_ = feed_.size();
  }
  int calls_while_down() const {
    MutexLock lock(mutex_);
    return calls_while_down_;
  }
  std::string end() const {
    MutexLock lock(mutex_);
    return Position(feed_.size());
  }

  absl::StatusOr<std::vector<CatalogConfig>> ListCatalogs() override {
    MutexLock lock(mutex_);
    if (absl::Status up = Check(); !up.ok()) return up;
    std::vector<CatalogConfig> configs;
    for (const auto& [id, catalog] : catalogs_) configs.push_back(catalog.config);
    return configs;
  }
  absl::StatusOr<std::string> CurrentPosition() override {
    MutexLock lock(mutex_);
    if (absl::Status up = Check(); !up.ok()) return up;
    return Position(feed_.size());
  }
  // Pages of three items. The token is the last id of the previous page.
  absl::StatusOr<ItemPage> ListItems(const std::string& catalog,
                                     const std::string& page_token) override {
    MutexLock lock(mutex_);
    if (absl::Status up = Check(); !up.ok()) return up;
    if (!catalogs_.contains(catalog)) return absl::NotFoundError("no such catalog");
    if (pages_allowed_ == 0) {
      ++pages_refused_;
      return absl::UnavailableError("no more pages");
    }
    if (pages_allowed_ > 0) --pages_allowed_;
    const auto& items = catalogs_[catalog].items;
    ItemPage page;
    for (auto item = items.upper_bound(page_token); item != items.end(); ++item) {
      if (page.items.size() == 3) {
        page.next_page_token = page.items.back().item_id;
        break;
      }
      page.items.push_back(item->second);
    }
    return page;
  }
  absl::StatusOr<std::vector<ItemUpdate>> GetItems(const std::string& catalog,
                                                   const std::vector<std::string>& ids) override {
    MutexLock lock(mutex_);
    if (absl::Status up = Check(); !up.ok()) return up;
    if (!catalogs_.contains(catalog)) return absl::NotFoundError("no such catalog");
    std::vector<ItemUpdate> found;
    for (const std::string& id : ids) {
      const auto item = catalogs_[catalog].items.find(id);
      if (item != catalogs_[catalog].items.end()) found.push_back(item->second);
    }
    return found;
  }
  absl::StatusOr<ChangeBatch> WatchChanges(const std::string& position,
                                           absl::Duration timeout) override {
    MutexLock lock(mutex_);
    size_t from = 0;
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(position, '/');
    EXPECT_TRUE(absl::SimpleAtoi(parts.first, &from));
    const absl::Time end = absl::Now() + timeout;
    while (true) {
      if (absl::Status up = Check(); !up.ok()) return up;
      if (position != Position(from)) return absl::OutOfRangeError("of another history");
      if (from < trimmed_) return absl::OutOfRangeError("trimmed");
      if (from > feed_.size()) return absl::InvalidArgumentError("no such position");
      if (from < feed_.size() || absl::Now() >= end) break;
      changed_.WaitFor(mutex_, end - absl::Now());
    }
    ChangeBatch batch;
    while (from < feed_.size() && batch.changes.size() < 5) batch.changes.push_back(feed_[from++]);
    batch.next_position = Position(from);
    return batch;
  }
  void Cancel() override {
    MutexLock lock(mutex_);
    cancelled_ = true;
    changed_.SignalAll();
  }

 private:
  struct Stored {
    CatalogConfig config;
    std::map<std::string, ItemUpdate> items;
  };

  std::string Position(size_t entries) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return returns_ == 0 ? absl::StrCat(entries) : absl::StrCat(entries, "/", returns_);
  }
  void Append(Change change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    feed_.push_back(std::move(change));
    changed_.SignalAll();
  }
  absl::Status Check() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (cancelled_) return absl::CancelledError("cancelled");
    if (!down_) return absl::OkStatus();
    ++calls_while_down_;
    changed_.SignalAll();
    return absl::UnavailableError("the store is down");
  }

  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Stored> catalogs_ ABSL_GUARDED_BY(mutex_);
  std::vector<Change> feed_ ABSL_GUARDED_BY(mutex_);
  size_t trimmed_ ABSL_GUARDED_BY(mutex_) = 0;
  int returns_ ABSL_GUARDED_BY(mutex_) = 0;
  int pages_allowed_ ABSL_GUARDED_BY(mutex_) = -1;  // below 0: any number
  int pages_refused_ ABSL_GUARDED_BY(mutex_) = 0;
  bool down_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  int calls_while_down_ ABSL_GUARDED_BY(mutex_) = 0;
};

struct FakeChangeSource::Copy {
  std::map<std::string, Stored> catalogs;
  std::vector<Change> feed;
};

inline std::shared_ptr<const FakeChangeSource::Copy> FakeChangeSource::Save() const {
  MutexLock lock(mutex_);
  return std::make_shared<const Copy>(Copy{.catalogs = catalogs_, .feed = feed_});
}

inline void FakeChangeSource::ReturnTo(const Copy& copy) {
  MutexLock lock(mutex_);
  catalogs_ = copy.catalogs;
  feed_ = copy.feed;
  ++returns_;
  changed_.SignalAll();
}

}  // namespace palate::retrieval
