#include "featurestore/storage/item_record_cache.h"

#include <utility>

#include "absl/hash/hash.h"
#include "base/bytes.h"

namespace palate::featurestore {
namespace {

// What the entry holds on the heap, roughly.
int64_t BytesOf(absl::string_view key, const ItemWithVectors& entry) {
  size_t bytes = sizeof(entry) + 2 * key.size() + entry.item.title.size() +
                 entry.item.description.size() + 128;
  for (const auto& [name, value] : entry.item.attributes) {
    bytes += sizeof(value) + name.size() + 64;
    if (const auto* text = std::get_if<std::string>(&value)) bytes += text->size();
    if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
      for (const std::string& text : *list) bytes += sizeof(std::string) + text.size();
    }
  }
  bytes += entry.item.images.size() * (sizeof(ImageRef) + 64);
  for (const SpaceVector& vector : entry.vectors)
    bytes += sizeof(vector) + vector.values.size() * sizeof(float) + 64;
  return static_cast<int64_t>(bytes);
}

}  // namespace

std::string ItemRecordCache::Key(uint32_t catalog, int64_t switches, absl::string_view item_id) {
  std::string key;
  AppendBigEndian32(catalog, key);
  AppendBigEndian64(static_cast<uint64_t>(switches), key);
  key.append(item_id.data(), item_id.size());
  return key;
}

ItemRecordCache::Shard& ItemRecordCache::ShardOf(absl::string_view key) {
  return shards_[absl::HashOf(key) % kShards];
}
const ItemRecordCache::Shard& ItemRecordCache::ShardOf(absl::string_view key) const {
  return shards_[absl::HashOf(key) % kShards];
}

void ItemRecordCache::Erase(Shard& shard, std::list<Node>::iterator node) {
  shard.bytes -= node->bytes;
  shard.index.erase(node->key);
  shard.nodes.erase(node);
}

std::shared_ptr<const ItemWithVectors> ItemRecordCache::Find(absl::string_view key) {
  Shard& shard = ShardOf(key);
  MutexLock lock(shard.mutex);
  const auto found = shard.index.find(key);
  if (found == shard.index.end()) return nullptr;
  shard.nodes.splice(shard.nodes.begin(), shard.nodes, found->second);
  return found->second->entry;
}

uint64_t ItemRecordCache::Ticket(absl::string_view key) const {
  const Shard& shard = ShardOf(key);
  MutexLock lock(shard.mutex);
  return shard.invalidations;
}

void ItemRecordCache::Insert(absl::string_view key, std::shared_ptr<const ItemWithVectors> entry,
                             uint64_t ticket) {
  const int64_t bytes = BytesOf(key, *entry);
  Shard& shard = ShardOf(key);
  MutexLock lock(shard.mutex);
  if (shard.invalidations != ticket || bytes > shard_capacity_ || shard.index.contains(key)) return;
  shard.nodes.push_front({std::string(key), std::move(entry), bytes});
  shard.index.emplace(shard.nodes.front().key, shard.nodes.begin());
  shard.bytes += bytes;
  while (shard.bytes > shard_capacity_) Erase(shard, std::prev(shard.nodes.end()));
}

void ItemRecordCache::Invalidate(absl::string_view key) {
  Shard& shard = ShardOf(key);
  MutexLock lock(shard.mutex);
  ++shard.invalidations;
  const auto found = shard.index.find(key);
  if (found != shard.index.end()) Erase(shard, found->second);
}

int64_t ItemRecordCache::size_bytes() const {
  int64_t bytes = 0;
  for (const Shard& shard : shards_) {
    MutexLock lock(shard.mutex);
    bytes += shard.bytes;
  }
  return bytes;
}

}  // namespace palate::featurestore
