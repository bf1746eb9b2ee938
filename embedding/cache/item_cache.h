// Vectors of item content on disk, in a RocksDB of its own: what was computed once is not computed
// again, also after a restart.
//
// Bounded in bytes, first in first out: RocksDB drops its oldest file when the files together
// exceed the bound. Least recently used would need a write for every hit and bookkeeping that has
// to survive a crash; and what this cache is for (the same content written again, a catalog
// re-created, a store re-embedded after its vectors were lost) reads an entry rarely and all
// entries alike, so that recency says little. An entry that falls out costs one computation.
//
// A damaged folder is set aside as <dir>.damaged and a new one begun; a damaged entry is a miss.
// Both are said in the log. Holds nothing that belongs to a user: see CachedEmbedder.
//
// Thread-safe. One process at a time may open a folder.
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
    std::string dir;  // made when absent
    // Of all files together, from kMinBytes on. A flush may exceed it for a moment.
    int64_t max_bytes = int64_t{1} << 30;
  };
  static constexpr int64_t kMinBytes = 4 << 20;

  // FailedPrecondition when another process has the folder open; Internal when it cannot be made or
  // written.
  static absl::StatusOr<std::unique_ptr<ItemCache>> Open(const Options& options);
  ~ItemCache();
  ItemCache(const ItemCache&) = delete;
  ItemCache& operator=(const ItemCache&) = delete;

  // The key of an input's vector in one space. `content` is ContentDigest's.
  static std::string Key(absl::string_view catalog, absl::string_view content,
                         absl::string_view space, absl::string_view fingerprint);

  // In the order of `keys`; absent what is not there.
  std::vector<std::optional<CachedVector>> Get(absl::Span<const std::string> keys);
  // Best effort: a write that fails is counted and logged.
  void Put(const std::vector<std::pair<std::string, CachedVector>>& entries);

  // Hits, misses and shared are CachedEmbedder's to count.
  CacheStats stats() const;

 private:
  ItemCache(const Options& options, std::unique_ptr<rocksdb::DB> db);
  void CountError(const std::string& doing, const std::string& error);

  const Options options_;
  const std::unique_ptr<rocksdb::DB> db_;
  std::atomic<int64_t> errors_ = 0;
};

}  // namespace palate::embedding
