// Caches vectors of users' queries in memory only, bounded in bytes. An entry is removed after a
// fixed time or when its user is dropped, whichever comes first; a hit does not extend its life.
// Beyond the bound the oldest entries are evicted.
//
// Usage:
//   const SystemClock clock;
//   QueryCache cache({.max_bytes = 16 << 20}, clock);
//   const QueryCache::Owner ada = {.catalog = "shop", .user_id = "ada"};
//   const int64_t generation = cache.generation();
//   if (!cache.Get(ada, {key})[0].has_value()) cache.Put(ada, generation, {{key, Computed()}});
//   const int64_t dropped = cache.Drop(ada);
//
// Thread-safe. A background thread removes expired entries, so that none outlives its time without
// a read.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "domain/limits.h"
#include "embedding/cache/cached_vector.h"

namespace palate::embedding {

class QueryCache {
 public:
  // Upper bound of Options::life.
  static constexpr absl::Duration kLongestLife = absl::Minutes(kMaxQueryVectorMinutes);

  struct Options {
    int64_t max_bytes = 16 << 20;
    absl::Duration life = kLongestLife;  // at most kLongestLife
  };
  // The user of a query. An empty id stands for all callers that name no user.
  struct Owner {
    std::string catalog;
    std::string user_id;
    auto operator<=>(const Owner&) const = default;
  };

  // Borrows `clock`.
  QueryCache(const Options& options, const Clock& clock);
  ~QueryCache();
  QueryCache(const QueryCache&) = delete;
  QueryCache& operator=(const QueryCache&) = delete;

  // In the order of `keys` (for example ItemCache::Key's); nullopt for keys that are not cached.
  std::vector<std::optional<CachedVector>> Get(const Owner& owner,
                                               absl::Span<const std::string> keys)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Incremented by every Drop. Callers read it before they compute a query and pass it to Put, so
  // that a vector that was computed while its user was dropped is not cached.
  int64_t generation() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Does nothing unless `generation` is the current one.
  void Put(const Owner& owner, int64_t generation,
           const std::vector<std::pair<std::string, CachedVector>>& entries)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Removes all entries of `owner`; returns the number of vectors.
  int64_t Drop(const Owner& owner) ABSL_LOCKS_EXCLUDED(mutex_);

  // CachedEmbedder counts hits, misses and shared; they are 0 here.
  CacheStats stats() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry {
    Owner owner;
    std::string key;
    CachedVector vector;
    absl::Time end;
    int64_t bytes = 0;
  };
  using Entries = std::list<Entry>;  // oldest first
  using Keys = std::unordered_map<std::string, Entries::iterator>;

  void Remove(Entries::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RemoveExpired() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Sweep();

  const Options options_;
  const Clock& clock_;
  mutable Mutex mutex_;
  CondVar changed_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  std::map<Owner, Keys> by_owner_ ABSL_GUARDED_BY(mutex_);
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread sweeper_;
};

}  // namespace palate::embedding
