#include "embedding/cache/query_cache.h"

#include <pthread.h>

#include <algorithm>

namespace palate::embedding {
namespace {

// Estimated bytes of an entry beside its values and names: nodes of the list and maps, and the
// strings' allocations.
constexpr int64_t kEntryOverhead = 256;

}  // namespace

QueryCache::QueryCache(const Options& options, const Clock& clock)
    : options_{options.max_bytes, std::min(options.life, kLongestLife)},
      clock_(clock),
      sweeper_([this] { Sweep(); }) {
  pthread_setname_np(sweeper_.native_handle(), "query-cache");
}

QueryCache::~QueryCache() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  sweeper_.join();
}

std::vector<std::optional<CachedVector>> QueryCache::Get(const Owner& owner,
                                                         absl::Span<const std::string> keys) {
  std::vector<std::optional<CachedVector>> found(keys.size());
  const MutexLock lock(mutex_);
  RemoveExpired();

  const auto mine = by_owner_.find(owner);
  if (mine == by_owner_.end()) return found;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto entry = mine->second.find(keys[i]);
    if (entry != mine->second.end()) found[i] = entry->second->vector;
  }
  return found;
}

int64_t QueryCache::generation() const {
  const MutexLock lock(mutex_);
  return generation_;
}

void QueryCache::Put(const Owner& owner, int64_t generation,
                     const std::vector<std::pair<std::string, CachedVector>>& entries) {
  const MutexLock lock(mutex_);
  if (generation != generation_) return;

  RemoveExpired();
  const absl::Time end = clock_.Now() + options_.life;
  for (const auto& [key, vector] : entries) {
    if (const auto mine = by_owner_.find(owner); mine != by_owner_.end()) {
      if (const auto old = mine->second.find(key); old != mine->second.end()) Remove(old->second);
    }

    const auto bytes =
        static_cast<int64_t>(key.size() + owner.catalog.size() + owner.user_id.size() +
                             vector.values.size() * sizeof(float)) +
        kEntryOverhead;
    if (bytes > options_.max_bytes) continue;
    while (bytes_ + bytes > options_.max_bytes) Remove(entries_.begin());

    entries_.push_back({owner, key, vector, end, bytes});
    by_owner_[owner][key] = std::prev(entries_.end());
    bytes_ += bytes;
  }
  changed_.SignalAll();
}

int64_t QueryCache::Drop(const Owner& owner) {
  const MutexLock lock(mutex_);
  ++generation_;
  const auto mine = by_owner_.find(owner);
  if (mine == by_owner_.end()) return 0;

  const auto count = static_cast<int64_t>(mine->second.size());
  for (const auto& [key, entry] : mine->second) {
    bytes_ -= entry->bytes;
    entries_.erase(entry);
  }
  by_owner_.erase(mine);
  return count;
}

void QueryCache::Remove(Entries::iterator entry) {
  bytes_ -= entry->bytes;
  const auto mine = by_owner_.find(entry->owner);
  mine->second.erase(entry->key);
  if (mine->second.empty()) by_owner_.erase(mine);
  entries_.erase(entry);
}

void QueryCache::RemoveExpired() {
  const absl::Time now = clock_.Now();
  while (!entries_.empty() && entries_.front().end <= now) Remove(entries_.begin());
}

void QueryCache::Sweep() {
  const MutexLock lock(mutex_);
  while (!stopping_) {
    RemoveExpired();
    if (entries_.empty()) {
      changed_.Wait(mutex_);
    } else {
      changed_.WaitFor(mutex_, entries_.front().end - clock_.Now());
    }
  }
}

CacheStats QueryCache::stats() const {
  const MutexLock lock(mutex_);
  CacheStats stats;
  stats.vectors = static_cast<int64_t>(entries_.size());
  stats.bytes = bytes_;
  stats.max_bytes = options_.max_bytes;
  return stats;
}

}  // namespace palate::embedding
