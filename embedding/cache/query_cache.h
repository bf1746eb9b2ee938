// Vectors of users' queries: in memory only, bounded in bytes, and gone after a fixed time or when
// the user is dropped, whichever comes first. A hit does not lengthen an entry's life. First in
// first out beyond the bound.
//
// Thread-safe. A thread of its own removes what has expired, so that nothing outlives its time
// because nobody asks.
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
  // The longest that anything may be kept.
  static constexpr absl::Duration kLongestLife = absl::Minutes(kMaxQueryVectorMinutes);

  struct Options {
    int64_t max_bytes = 16 << 20;
    absl::Duration life = kLongestLife;  // at most kLongestLife
  };
  // Whose a query is. An empty user is everybody who did not say who they are.
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

  // In the order of `keys` (ItemCache::Key's, say); absent what is not there.
  std::vector<std::optional<CachedVector>> Get(const Owner& owner,
                                               absl::Span<const std::string> keys)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Grows with every Drop. Read before a query is computed and handed to Put, so that an answer
  // that was on its way while its user was dropped is not kept.
  int64_t generation() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Keeps nothing when `generation` is not the present one.
  void Put(const Owner& owner, int64_t generation,
           const std::vector<std::pair<std::string, CachedVector>>& entries)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Removes everything of `owner`; returns the number of vectors.
  int64_t Drop(const Owner& owner) ABSL_LOCKS_EXCLUDED(mutex_);

  // Hits, misses and shared are CachedEmbedder's to count.
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
