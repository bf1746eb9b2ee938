#include "featurestore/items/item_store.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "featurestore/items/item_batch.h"
#include "featurestore/items/item_write.h"
#include "featurestore/storage/embedding_state.h"
#include "featurestore/storage/keys.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
namespace {

std::vector<absl::string_view> Views(const std::vector<std::string>& texts) {
  return std::vector<absl::string_view>(texts.begin(), texts.end());
}

}  // namespace

ItemStore::ItemStore(Storage& storage, SpaceSwitcher& spaces)
    : database_(storage.database()),
      catalogs_(storage.catalogs()),
      changes_(storage.changes()),
      options_(storage.options()),
      storage_(storage),
      spaces_(spaces),
      cache_(storage.options().item_cache_bytes) {}

absl::StatusOr<StoredItemReader> ItemStore::Reader(const CatalogState& state,
                                                   const ItemReadOptions& options,
                                                   const rocksdb::ReadOptions& read) {
  return StoredItemReader::Create(database_, cache_, state, options, read);
}

void ItemStore::ForgetCached(const CatalogState& state, absl::string_view item_id) {
  cache_.Invalidate(ItemRecordCache::Key(state.number(), state.switches(), item_id));
}

absl::StatusOr<UpsertItemsResult> ItemStore::Upsert(absl::string_view catalog,
                                                    const std::vector<ItemWrite>& writes) {
  PALATE_ASSIGN_OR_RETURN(auto access, catalogs_.BeginWrite(catalog));
  PALATE_RETURN_IF_ERROR(ValidateBatchSize("items", writes.size(), options_.limits.max_batch));
  std::vector<PreparedItemWrite> prepared;
  std::vector<std::string> ids;
  std::vector<std::string> digests;
  for (const ItemWrite& write : writes) {
    prepared.push_back(PrepareItemWrite(write, *access.catalog, options_.limits));
    if (!prepared.back().status.ok()) continue;
    ids.push_back(write.item.id);
    for (const ImageRef& image : prepared.back().images) digests.push_back(image.sha256);
  }

  PALATE_ASSIGN_OR_RETURN(UpsertItemsResult result,
                          Write(*access.state, writes, prepared, ids, std::move(digests)));
  changes_.TrimIfLong(*access.state);
  // The last item that waited for vectors may have lost what was to be embedded.
  access.alive.Release();
  PALATE_RETURN_IF_ERROR(spaces_.SwitchIfDone(*access.state));
  return result;
}

absl::StatusOr<UpsertItemsResult> ItemStore::Write(CatalogState& state,
                                                   const std::vector<ItemWrite>& writes,
                                                   std::vector<PreparedItemWrite>& prepared,
                                                   const std::vector<std::string>& ids,
                                                   std::vector<std::string> digests) {
  const LockTable::Hold items_held(item_locks_, Views(ids));
  ItemBatch batch(storage_, cache_, state);
  PALATE_RETURN_IF_ERROR(batch.Load(ids));
  for (std::string& digest : batch.ShownDigests()) digests.push_back(std::move(digest));
  const LockTable::Hold blobs_held(blob_locks_, Views(digests));
  PALATE_RETURN_IF_ERROR(batch.blobs().Load(digests));

  std::vector<ItemWriteOutcome> outcomes(writes.size());
  std::map<std::string, size_t> last_change;
  const absl::Time now = options_.clock->Now();
  for (size_t i = 0; i < writes.size(); ++i) {
    outcomes[i] = prepared[i].status.ok()
                      ? ApplyItemWrite(writes[i], prepared[i], batch, last_change, now)
                      : ItemWriteOutcome{prepared[i].status, {}, 0};
  }
  PALATE_ASSIGN_OR_RETURN(const int64_t first, batch.Commit());

  UpsertItemsResult result;
  result.num_changed = static_cast<int>(batch.num_changes());
  for (size_t i = 0; i < writes.size(); ++i) {
    const ItemWriteOutcome& outcome = outcomes[i];
    result.revisions.push_back(outcome.change.has_value()
                                   ? first + static_cast<int64_t>(*outcome.change)
                                   : outcome.revision);
    if (!outcome.status.ok()) {
      result.failures.push_back({i, outcome.status});
      continue;
    }
    for (const absl::Status& refused : prepared[i].refused_images)
      result.part_failures.push_back({i, PrefixFields(refused, "item")});
    if (outcome.change.has_value() && !prepared[i].refused_images.empty()) {
      spdlog::warn("catalog {}: item {} is stored without {} of its pictures: {}", state.id(),
                   QuoteForMessage(writes[i].item.id), prepared[i].refused_images.size(),
                   std::string(prepared[i].refused_images.front().message()));
    }
  }
  return result;
}

absl::StatusOr<std::vector<ElementFailure>> ItemStore::Delete(absl::string_view catalog,
                                                              const std::vector<std::string>& ids) {
  PALATE_ASSIGN_OR_RETURN(auto access, catalogs_.BeginWrite(catalog));
  PALATE_RETURN_IF_ERROR(ValidateBatchSize("item_ids", ids.size(), options_.limits.max_batch));
  std::vector<ElementFailure> failures;
  std::vector<std::pair<size_t, std::string>> valid;
  std::vector<std::string> valid_ids;
  for (size_t i = 0; i < ids.size(); ++i) {
    absl::Status status = ValidateId("", ids[i], options_.limits);
    if (!status.ok()) {
      failures.push_back({i, std::move(status)});
      continue;
    }
    valid.emplace_back(i, ids[i]);
    valid_ids.push_back(ids[i]);
  }

  {
    const LockTable::Hold items_held(item_locks_, Views(valid_ids));
    ItemBatch batch(storage_, cache_, *access.state);
    PALATE_RETURN_IF_ERROR(batch.Load(valid_ids));
    const std::vector<std::string> digests = batch.ShownDigests();
    const LockTable::Hold blobs_held(blob_locks_, Views(digests));
    PALATE_RETURN_IF_ERROR(batch.blobs().Load(digests));

    for (const auto& [index, id] : valid) {
      const std::optional<Item>& stored = batch.Current(id);
      if (!stored.has_value()) {
        failures.push_back({index, absl::NotFoundError(absl::StrCat("item ", QuoteForMessage(id),
                                                                    " is not known"))});
        continue;
      }
      for (const ImageRef& image : stored->images) batch.blobs().Remove(image.sha256);
      batch.Change(id, std::nullopt);
    }

    PALATE_RETURN_IF_ERROR(batch.Commit().status());
  }

  changes_.TrimIfLong(*access.state);
  // The last item that waited for vectors may have been deleted.
  access.alive.Release();
  PALATE_RETURN_IF_ERROR(spaces_.SwitchIfDone(*access.state));
  std::sort(failures.begin(), failures.end(),
            [](const ElementFailure& a, const ElementFailure& b) { return a.index < b.index; });
  return failures;
}

absl::StatusOr<GetItemsResult> ItemStore::Get(absl::string_view catalog,
                                              const std::vector<std::string>& ids,
                                              const ItemReadOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginRead(catalog));
  const StoreLimits& limits = options_.limits;
  PALATE_RETURN_IF_ERROR(ValidateBatchSize("item_ids", ids.size(), limits.max_batch));

  const Snapshot snapshot(database_);
  PALATE_ASSIGN_OR_RETURN(const StoredItemReader reader,
                          Reader(*access.state, options, snapshot.read()));

  GetItemsResult result;
  // Pictures must belong to the item as it is read, hence the snapshot; the cache knows active
  // fingerprints only.
  const bool cached = !options.image_bytes && !options.all_fingerprints;
  PALATE_ASSIGN_OR_RETURN(result.items, cached ? reader.ReadCached(ids) : reader.Read(ids));

  int64_t image_bytes = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    std::optional<StoredItem>& item = result.items[i];
    absl::Status status;
    if (!item.has_value()) {
      status = ValidateId("", ids[i], limits);
      if (status.ok())
        status =
            absl::NotFoundError(absl::StrCat("item ", QuoteForMessage(ids[i]), " is not known"));
    } else if (options.image_bytes) {
      image_bytes += StoredItemReader::ImageBytes(item->item);
      if (image_bytes > limits.max_read_image_bytes) {
        status = absl::ResourceExhaustedError(absl::StrCat("the answer's pictures pass ",
                                                           limits.max_read_image_bytes,
                                                           " bytes: ask for fewer items"));
        item.reset();
      } else {
        PALATE_RETURN_IF_ERROR(reader.AddImages(*item));
      }
    }
    if (!status.ok()) result.failures.push_back({i, std::move(status)});
  }
  return result;
}

absl::StatusOr<ItemPage> ItemStore::List(absl::string_view catalog, int page_size,
                                         absl::string_view page_token,
                                         const ItemReadOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const auto access, catalogs_.BeginRead(catalog));
  PALATE_ASSIGN_OR_RETURN(const int limit, ValidatePageSize(page_size, options_.limits));
  PALATE_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(page_token));

  const Snapshot snapshot(database_);
  const rocksdb::ReadOptions& read = snapshot.read();
  PALATE_ASSIGN_OR_RETURN(const StoredItemReader reader, Reader(*access.state, options, read));
  if (options.only_failing)
    return ListFailing(*access.state, reader, limit, after, options.image_bytes, read);
  const std::string prefix = CatalogPrefix(access.state->number());
  const std::string from = after.empty() ? prefix : ItemKey(access.state->number(), after);

  ItemPage page;
  int64_t image_bytes = 0;
  PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
      kItems, prefix, from, read,
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        if (key == from) return true;
        std::string id;
        key.remove_prefix(prefix.size());
        if (!ConsumeId(key, id)) return absl::DataLossError("a stored item has a damaged key");
        PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::ItemRecord>(value, "item"));

        StoredItem item;
        item.item = FromRecord(std::move(id), std::move(record));
        if (options.image_bytes) image_bytes += StoredItemReader::ImageBytes(item.item);
        const bool full = page.items.size() == static_cast<size_t>(limit) ||
                          image_bytes > options_.limits.max_read_image_bytes;
        if (full && !page.items.empty()) {
          page.next_page_token = EncodePageToken(page.items.back().item.id);
          return false;
        }
        if (options.image_bytes) PALATE_RETURN_IF_ERROR(reader.AddImages(item));
        page.items.push_back(std::move(item));
        return true;
      }));

  std::vector<StoredItem*> items;
  for (StoredItem& item : page.items) items.push_back(&item);
  PALATE_RETURN_IF_ERROR(reader.AddVectors(items));
  PALATE_RETURN_IF_ERROR(reader.AddFailedParts(items));
  return page;
}

absl::StatusOr<std::vector<std::string>> ItemStore::FailingIds(
    const CatalogState& state, size_t limit, const std::string& after,
    const rocksdb::ReadOptions& read) const {
  std::vector<std::string> ids;
  const CatalogCounts counts = state.counts();
  if (counts.failed + counts.flawed == 0) return ids;

  const std::string prefix = CounterPrefix(state.number(), CounterTag::kEmbedding);
  const std::string from =
      after.empty() ? prefix : TaggedItemKey(state.number(), CounterTag::kEmbedding, after);
  PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
      kCounters, prefix, from, read,
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        if (key == from) return true;
        PALATE_ASSIGN_OR_RETURN(const auto row,
                                ParseRecord<storage::EmbeddingRecord>(value, "embedding state"));
        if (FailuresOf(row).empty()) return true;

        std::string id;
        key.remove_prefix(prefix.size());
        if (!ConsumeId(key, id))
          return absl::DataLossError("a stored embedding state has a damaged key");
        ids.push_back(std::move(id));
        return ids.size() < limit;
      }));
  return ids;
}

absl::StatusOr<ItemPage> ItemStore::ListFailing(const CatalogState& state,
                                                const StoredItemReader& reader, int limit,
                                                const std::string& after, bool image_bytes,
                                                const rocksdb::ReadOptions& read) const {
  const size_t most = static_cast<size_t>(limit);
  PALATE_ASSIGN_OR_RETURN(std::vector<std::string> ids, FailingIds(state, most + 1, after, read));
  bool more = ids.size() > most;
  if (more) ids.pop_back();
  PALATE_ASSIGN_OR_RETURN(auto items, reader.Read(ids));

  ItemPage page;
  int64_t bytes = 0;
  for (std::optional<StoredItem>& item : items) {
    if (!item.has_value()) return absl::DataLossError("an embedding state names no stored item");
    if (image_bytes) bytes += StoredItemReader::ImageBytes(item->item);
    if (bytes > options_.limits.max_read_image_bytes && !page.items.empty()) {
      more = true;
      break;
    }
    if (image_bytes) PALATE_RETURN_IF_ERROR(reader.AddImages(*item));
    page.items.push_back(*std::move(item));
  }
  if (more) page.next_page_token = EncodePageToken(page.items.back().item.id);
  return page;
}

}  // namespace palate::featurestore
