// Items with their vectors, decoded, so that requests do not parse the same hundreds of records
// again and again.
//
// Holds committed data only: a writer invalidates after its commit and before it answers,
// and a reader that read before the invalidation cannot insert after it (see Ticket). Thread-safe.
// Bounded in bytes; the least recently used entry is dropped first.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "domain/item.h"

namespace palate::featurestore {

class ItemRecordCache {
 public:
  explicit ItemRecordCache(int64_t capacity_bytes) : shard_capacity_(capacity_bytes / kShards) {}

  // The key of an item as long as its catalog's active fingerprints stay; `switches` is
  // CatalogState::switches().
  static std::string Key(uint32_t catalog, int64_t switches, absl::string_view item_id);

  // nullptr when the key is not held. An entry's vectors are those of every space's active
  // fingerprint.
  std::shared_ptr<const ItemWithVectors> Find(absl::string_view key);

  // To be taken before the rows are read, and given to Insert(), which does nothing when something
  // was invalidated in between.
  uint64_t Ticket(absl::string_view key) const;
  void Insert(absl::string_view key, std::shared_ptr<const ItemWithVectors> entry, uint64_t ticket);

  // After the commit of a change to the item.
  void Invalidate(absl::string_view key);

  int64_t size_bytes() const;

 private:
  static constexpr size_t kShards = 16;

  struct Node {
    std::string key;
    std::shared_ptr<const ItemWithVectors> entry;
    int64_t bytes = 0;
  };
  struct Shard {
    mutable Mutex mutex;
    std::list<Node> nodes ABSL_GUARDED_BY(mutex);  // most recently used first
    absl::flat_hash_map<absl::string_view, std::list<Node>::iterator> index
        ABSL_GUARDED_BY(mutex);  // keys live in nodes
    int64_t bytes ABSL_GUARDED_BY(mutex) = 0;
    uint64_t invalidations ABSL_GUARDED_BY(mutex) = 0;
  };

  Shard& ShardOf(absl::string_view key);
  const Shard& ShardOf(absl::string_view key) const;
  static void Erase(Shard& shard, std::list<Node>::iterator node)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);

  const int64_t shard_capacity_;
  std::array<Shard, kShards> shards_;
};

}  // namespace palate::featurestore
