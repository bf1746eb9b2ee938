#include "featurestore/items/stored_item_reader.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/storage/embedding_state.h"
#include "featurestore/storage/keys.h"

namespace palate::featurestore {

absl::StatusOr<StoredItemReader> StoredItemReader::Create(const Database& database,
                                                          ItemRecordCache& cache,
                                                          const CatalogState& state,
                                                          const ItemReadOptions& options,
                                                          const rocksdb::ReadOptions& read) {
  // Readers that serve any catalog name every space that they use; a space that this one does not
  // declare has no vectors.
  for (size_t i = 0; i < options.spaces.size(); ++i) {
    if (std::find(std::begin(kSpaceNames), std::end(kSpaceNames), options.spaces[i]) ==
        std::end(kSpaceNames)) {
      return InvalidField(absl::StrCat("spaces[", i, "]"),
                          absl::StrCat("is ", QuoteForMessage(options.spaces[i])),
                          absl::StrJoin(kSpaceNames, " or "));
    }
  }

  StoredItemReader reader(database, cache, state, read);
  for (const auto& [name, record] : state.Spaces()) {
    if (!options.all_spaces &&
        std::find(options.spaces.begin(), options.spaces.end(), name) == options.spaces.end())
      continue;
    if (!record.active_fingerprint().empty())
      reader.spaces_.push_back({name, record.active_fingerprint()});
    const bool switching = record.target_fingerprint() != record.active_fingerprint();
    if (options.all_fingerprints && switching)
      reader.spaces_.push_back({name, record.target_fingerprint()});
  }

  std::sort(reader.spaces_.begin(), reader.spaces_.end());
  return reader;
}

absl::StatusOr<std::vector<std::optional<StoredItem>>> StoredItemReader::Read(
    const std::vector<std::string>& ids) const {
  std::vector<std::string> keys;
  keys.reserve(ids.size());
  for (const std::string& id : ids) keys.push_back(ItemKey(catalog_, id));
  PALATE_ASSIGN_OR_RETURN(auto records,
                          database_.MultiGetRecords<storage::ItemRecord>(kItems, keys, read_));
  std::vector<std::optional<StoredItem>> items(ids.size());
  std::vector<StoredItem*> known;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!records[i].has_value()) continue;
    items[i].emplace();
    items[i]->item = FromRecord(ids[i], *std::move(records[i]));
    known.push_back(&*items[i]);
  }
  PALATE_RETURN_IF_ERROR(AddVectors(known));
  PALATE_RETURN_IF_ERROR(AddFailedParts(known));
  return items;
}

absl::StatusOr<std::vector<std::optional<StoredItem>>> StoredItemReader::ReadCached(
    const std::vector<std::string>& ids) const {
  // Before the fingerprints: if they change in between, the entry is inserted under a key that is
  // no longer looked up.
  const int64_t switches = state_.switches();

  std::vector<std::shared_ptr<const ItemWithVectors>> entries(ids.size());
  std::vector<std::string> missing;
  std::vector<size_t> missing_index;
  std::vector<uint64_t> tickets;
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::string key = ItemRecordCache::Key(catalog_, switches, ids[i]);
    entries[i] = cache_.Find(key);
    if (entries[i] != nullptr) continue;
    missing.push_back(ids[i]);
    missing_index.push_back(i);
    tickets.push_back(cache_.Ticket(key));
  }

  if (!missing.empty()) {
    // Not at the snapshot: the cache holds what is committed now.
    PALATE_ASSIGN_OR_RETURN(
        const StoredItemReader reader,
        Create(database_, cache_, state_, {.all_spaces = true}, rocksdb::ReadOptions()));
    PALATE_ASSIGN_OR_RETURN(auto items, reader.Read(missing));
    for (size_t i = 0; i < missing.size(); ++i) {
      if (!items[i].has_value()) continue;
      auto entry =
          std::make_shared<const ItemWithVectors>(static_cast<ItemWithVectors&&>(*items[i]));
      cache_.Insert(ItemRecordCache::Key(catalog_, switches, missing[i]), entry, tickets[i]);
      entries[missing_index[i]] = std::move(entry);
    }
  }

  std::vector<std::optional<StoredItem>> items(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    if (entries[i] == nullptr) continue;
    StoredItem& item = items[i].emplace();
    item.item = entries[i]->item;
    item.failed_parts = entries[i]->failed_parts;
    for (const SpaceVector& vector : entries[i]->vectors) {
      if (std::binary_search(spaces_.begin(), spaces_.end(), vector.space))
        item.vectors.push_back(vector);
    }
  }
  return items;
}

absl::Status StoredItemReader::AddVectors(const std::vector<StoredItem*>& items) const {
  if (spaces_.empty() || items.empty()) return absl::OkStatus();

  std::vector<std::string> keys;
  keys.reserve(items.size() * spaces_.size());
  for (const StoredItem* item : items) {
    for (const SpaceKey& space : spaces_)
      keys.push_back(VectorKey(catalog_, item->item.id, space.name, space.fingerprint));
  }

  PALATE_ASSIGN_OR_RETURN(const auto rows, database_.MultiGet(kVectors, keys, read_));
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].has_value()) continue;
    PALATE_ASSIGN_OR_RETURN(const auto record,
                            ParseRecord<storage::VectorRecord>(ToView(*rows[i]), "vector"));
    absl::StatusOr<std::vector<float>> values = FloatsFromBytes(record.values());
    if (!values.ok())
      return absl::DataLossError(
          absl::StrCat("a stored vector is damaged: ", values.status().message()));
    items[i / spaces_.size()]->vectors.push_back({spaces_[i % spaces_.size()], *std::move(values)});
  }
  return absl::OkStatus();
}

absl::Status StoredItemReader::AddFailedParts(const std::vector<StoredItem*>& items) const {
  const CatalogCounts counts = state_.counts();
  if (items.empty() || counts.failed + counts.flawed == 0) return absl::OkStatus();

  std::vector<std::string> keys;
  keys.reserve(items.size());
  for (const StoredItem* item : items)
    keys.push_back(TaggedItemKey(catalog_, CounterTag::kEmbedding, item->item.id));
  PALATE_ASSIGN_OR_RETURN(
      const auto rows, database_.MultiGetRecords<storage::EmbeddingRecord>(kCounters, keys, read_));
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].has_value()) items[i]->failed_parts = FailuresOf(*rows[i]);
  }
  return absl::OkStatus();
}

int64_t StoredItemReader::ImageBytes(const Item& item) {
  int64_t bytes = 0;
  for (const ImageRef& image : item.images) bytes += image.size_bytes;
  return bytes;
}

absl::Status StoredItemReader::AddImages(StoredItem& item) const {
  for (const ImageRef& image : item.item.images) {
    PALATE_ASSIGN_OR_RETURN(auto bytes,
                            database_.Get(kBlobs, BlobKey(catalog_, image.sha256), read_));
    if (!bytes.has_value())
      return absl::DataLossError("a picture that an item shows is missing from the store");
    item.image_bytes.push_back(*std::move(bytes));
  }
  return absl::OkStatus();
}

}  // namespace palate::featurestore
