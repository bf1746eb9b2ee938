// GetItems, ListItems and ListPending.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/feature_store.h"
#include "featurestore/items/stored_item_reader.h"
#include "featurestore/storage/store_core.h"
#include "featurestore/validate.h"

namespace palate::featurestore {
absl::StatusOr<GetItemsResult> FeatureStore::GetItems(absl::string_view catalog,
                                                      const std::vector<std::string>& ids,
                                                      const ItemReadOptions& options) const {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginRead(catalog));
  const StoreLimits& limits = core_->options.limits;
  PALATE_RETURN_IF_ERROR(ValidateBatchSize("item_ids", ids.size(), limits.max_batch));
  const Snapshot snapshot(core_->db());
  PALATE_ASSIGN_OR_RETURN(
      const StoredItemReader reader,
      StoredItemReader::Create(*core_, *access.state, options, snapshot.read()));
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

absl::StatusOr<ItemPage> FeatureStore::ListItems(absl::string_view catalog, int page_size,
                                                 absl::string_view page_token,
                                                 const ItemReadOptions& options) const {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginRead(catalog));
  PALATE_ASSIGN_OR_RETURN(const int limit, CheckPageSize(page_size, core_->options.limits));
  PALATE_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(page_token));
  const Snapshot snapshot(core_->db());
  const rocksdb::ReadOptions& read = snapshot.read();
  PALATE_ASSIGN_OR_RETURN(const StoredItemReader reader,
                          StoredItemReader::Create(*core_, *access.state, options, read));
  const std::string prefix = CatalogPrefix(access.state->number);
  const std::string from = after.empty() ? prefix : ItemKey(access.state->number, after);
  ItemPage page;
  int64_t image_bytes = 0;
  PALATE_RETURN_IF_ERROR(core_->ScanPrefix(
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
                          image_bytes > core_->options.limits.max_read_image_bytes;
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
  return page;
}

absl::StatusOr<std::vector<StoredItem>> FeatureStore::ListPending(absl::string_view catalog,
                                                                  int limit,
                                                                  absl::string_view after_item_id,
                                                                  int64_t max_image_bytes) const {
  PALATE_ASSIGN_OR_RETURN(const auto access, core_->BeginRead(catalog));
  if (limit < 1 || limit > core_->options.limits.max_batch) {
    return InvalidField("limit", absl::StrCat("is ", limit),
                        absl::StrCat("from 1 to ", core_->options.limits.max_batch));
  }
  const Snapshot snapshot(core_->db());
  const rocksdb::ReadOptions& read = snapshot.read();
  const std::string prefix = CounterPrefix(access.state->number, CounterTag::kEmbedding);
  const std::string from =
      after_item_id.empty()
          ? prefix
          : TaggedItemKey(access.state->number, CounterTag::kEmbedding, after_item_id);
  std::vector<std::string> ids;
  PALATE_RETURN_IF_ERROR(core_->ScanPrefix(
      kCounters, prefix, from, read,
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        if (key == from) return true;
        PALATE_ASSIGN_OR_RETURN(const auto record,
                                ParseRecord<storage::EmbeddingRecord>(value, "embedding state"));
        if (record.failure_code() != 0) return true;
        std::string id;
        key.remove_prefix(prefix.size());
        if (!ConsumeId(key, id))
          return absl::DataLossError("a stored embedding state has a damaged key");
        ids.push_back(std::move(id));
        return ids.size() < static_cast<size_t>(limit);
      }));
  PALATE_ASSIGN_OR_RETURN(const StoredItemReader reader,
                          StoredItemReader::Create(*core_, *access.state, {}, read));
  PALATE_ASSIGN_OR_RETURN(auto items, reader.Read(ids));
  std::vector<StoredItem> pending;
  int64_t image_bytes = 0;
  for (std::optional<StoredItem>& item : items) {
    if (!item.has_value())
      return absl::DataLossError("an item that waits for vectors is missing from the store");
    image_bytes += StoredItemReader::ImageBytes(item->item);
    if (!pending.empty() && image_bytes > max_image_bytes) break;
    PALATE_RETURN_IF_ERROR(reader.AddImages(*item));
    pending.push_back(*std::move(item));
  }
  return pending;
}

}  // namespace palate::featurestore
