// Caches vectors of item content on disk, in a separate RocksDB, also across restarts.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto cache, ItemCache::Open({.dir = dir}));
//   const std::string key =
//       ItemCache::Key("shop", ContentDigest(input, /*instruction=*/""), "text", fingerprint);
//   if (!cache->Get({key})[0].has_value()) cache->Put({{key, Computed(input)}});
//
// The cache is bounded in bytes and evicts first in, first out: RocksDB drops its oldest file when
// the files together exceed the bound. LRU would need a write per hit and bookkeeping that survives
// crashes. This cache serves content that is written again, catalogs that are recreated and stores
// that are embedded again after a loss; such reads are rare and uniform, so recency predicts
// little. An evicted entry costs one computation.
//
// A damaged folder is renamed to <dir>.damaged and replaced by an empty one; a damaged entry is a
// miss. Both are logged. Contains no user data: see CachedEmbedder.
//
// Thread-safe. Only one process at a time may open a folder.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "embedding/cache/cached_vector.h"

namespace rocksdb {
class DB;
}

namespace palate::embedding {

class ItemCache {
 public:
  struct Options {
    std::string dir;  // created if absent
    // Limit on all files together, at least kMinBytes. A flush may exceed it briefly.
    int64_t max_bytes = int64_t{1} << 30;
  };
  static constexpr int64_t kMinBytes = 4 << 20;

  // FailedPrecondition when another process has the folder open; Internal when it cannot be created
  // or written; InvalidArgument when max_bytes is below kMinBytes.
  static absl::StatusOr<std::unique_ptr<ItemCache>> Open(const Options& options);
  ~ItemCache();
  ItemCache(const ItemCache&) = delete;
  ItemCache& operator=(const ItemCache&) = delete;

  // The key of an input's vector in one space. `content` is a ContentDigest.
  static std::string Key(absl::string_view catalog, absl::string_view content,
                         absl::string_view space, absl::string_view fingerprint);

  // In the order of `keys`; nullopt for keys that are not cached.
  std::vector<std::optional<CachedVector>> Get(absl::Span<const std::string> keys);
  // Best effort: a failed write is counted and logged.
  void Put(const std::vector<std::pair<std::string, CachedVector>>& entries);

  // CachedEmbedder counts hits, misses and shared; they are 0 here.
  CacheStats stats() const;

 private:
  ItemCache(const Options& options, std::unique_ptr<rocksdb::DB> db);
  void CountError(const std::string& doing, const std::string& error);

  const Options options_;
  const std::unique_ptr<rocksdb::DB> db_;
  std::atomic<int64_t> errors_ = 0;
};

}  // namespace palate::embedding
