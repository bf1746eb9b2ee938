#include "featurestore/items/item_batch.h"

#include <utility>

#include "base/bytes.h"
#include "base/status.h"

namespace palate::featurestore {
namespace {

std::string FreshKey(uint32_t catalog, const Item& item) {
  return TimedItemKey(catalog, CounterTag::kFresh, ToMicros(item.create_time), item.id);
}

}  // namespace

bool IsEmbeddable(const Item& item) {
  return !item.title.empty() || !item.description.empty() || !item.attributes.empty() ||
         !item.images.empty();
}

bool SameContent(const Item& a, const Item& b) {
  return a.title == b.title && a.description == b.description && a.attributes == b.attributes &&
         a.images == b.images;
}

bool SameItem(const Item& a, const Item& b) {
  return SameContent(a, b) && a.hidden == b.hidden && a.create_time == b.create_time &&
         a.expire_time == b.expire_time;
}

Availability AvailabilityOf(const std::optional<Item>& item) {
  if (!item.has_value() || item->hidden) return {};
  return {true, item->expire_time};
}

void PutFresh(rocksdb::WriteBatch& batch, StoreCore& core, uint32_t catalog, const Item& item) {
  if (item.hidden) return;
  std::string expiry;
  if (item.expire_time.has_value())
    AppendBigEndian64(static_cast<uint64_t>(ToMicros(*item.expire_time)), expiry);
  batch.Put(core.family(kCounters), FreshKey(catalog, item), expiry);
}

absl::Status ItemBatch::Load(const std::vector<std::string>& ids) {
  for (const std::string& id : ids) works_.try_emplace(id);
  std::vector<std::string> item_keys;
  std::vector<std::string> embedding_keys;
  for (const auto& [id, work] : works_) {
    item_keys.push_back(ItemKey(state_.number, id));
    embedding_keys.push_back(TaggedItemKey(state_.number, CounterTag::kEmbedding, id));
  }
  PALATE_ASSIGN_OR_RETURN(auto items,
                          core_.MultiGetRecords<storage::ItemRecord>(kItems, item_keys));
  PALATE_ASSIGN_OR_RETURN(const auto embeddings, core_.MultiGetRecords<storage::EmbeddingRecord>(
                                                     kCounters, embedding_keys));
  size_t i = 0;
  for (auto& [id, work] : works_) {
    if (items[i].has_value()) {
      work.content_revision = items[i]->content_revision();
      work.before = FromRecord(id, *std::move(items[i]));
      work.now = work.before;
    }
    if (embeddings[i].has_value()) {
      work.was_failed = embeddings[i]->failure_code() != 0;
      work.was_pending = !work.was_failed;
    }
    ++i;
  }
  return absl::OkStatus();
}

std::vector<std::string> ItemBatch::ShownDigests() const {
  std::vector<std::string> digests;
  for (const auto& [id, work] : works_) {
    if (!work.before.has_value()) continue;
    for (const ImageRef& image : work.before->images) digests.push_back(image.sha256);
  }
  return digests;
}

size_t ItemBatch::Change(const std::string& id, std::optional<Item> now) {
  Work& work = works_.at(id);
  const size_t number = changes_.size();
  changes_.push_back({id, now.has_value() ? ChangeKind::kItemUpserted : ChangeKind::kItemDeleted});
  const bool same_content = work.now.has_value() && now.has_value() && SameContent(*work.now, *now);
  if (!same_content) work.content_change = number;
  work.last_change = number;
  work.now = std::move(now);
  if (work.now.has_value()) work.now->revision = kNewRevision;
  return number;
}

absl::StatusOr<int64_t> ItemBatch::Commit() {
  if (changes_.empty()) return 0;
  const auto reservation = core_.feed.Reserve(static_cast<int64_t>(changes_.size()));
  const int64_t first = reservation->first();
  rocksdb::WriteBatch batch;
  for (auto& [id, work] : works_) {
    if (work.last_change.has_value()) PALATE_RETURN_IF_ERROR(WriteItem(id, work, first, batch));
  }
  blobs_.Write(batch);
  for (size_t i = 0; i < changes_.size(); ++i) {
    const int64_t position = first + static_cast<int64_t>(i);
    core_.AddChange(batch, state_.number, position, changes_[i].kind, changes_[i].id, position);
  }
  if (items_delta_ != 0) {
    batch.Merge(core_.family(kCounters), CounterPrefix(state_.number, CounterTag::kItems),
                EncodeCount(items_delta_));
  }
  PALATE_RETURN_IF_ERROR(core_.Write(batch));
  UpdateMemory();
  return first;
}

absl::Status ItemBatch::WriteItem(const std::string& id, Work& work, int64_t first,
                                  rocksdb::WriteBatch& batch) {
  const std::string key = ItemKey(state_.number, id);
  if (work.before.has_value() && !work.before->hidden)
    batch.Delete(core_.family(kCounters), FreshKey(state_.number, *work.before));
  if (work.content_change.has_value())
    work.content_revision = first + static_cast<int64_t>(*work.content_change);
  if (work.now.has_value()) {
    work.now->revision = first + static_cast<int64_t>(*work.last_change);
    PutRecord(batch, core_.family(kItems), key, ToRecord(*work.now, work.content_revision));
    PutFresh(batch, core_, state_.number, *work.now);
  } else {
    batch.Delete(core_.family(kItems), key);
  }
  items_delta_ +=
      static_cast<int64_t>(work.now.has_value()) - static_cast<int64_t>(work.before.has_value());
  return work.content_change.has_value() ? WriteEmbeddingState(id, work, batch) : absl::OkStatus();
}

absl::Status ItemBatch::WriteEmbeddingState(const std::string& id, const Work& work,
                                            rocksdb::WriteBatch& batch) {
  const std::string key = TaggedItemKey(state_.number, CounterTag::kEmbedding, id);
  const bool pending = work.now.has_value() && IsEmbeddable(*work.now);
  if (pending) {
    storage::EmbeddingRecord record;
    record.set_content_revision(work.content_revision);
    PutRecord(batch, core_.family(kCounters), key, record);
  } else {
    batch.Delete(core_.family(kCounters), key);
    // Vectors of the content before stay in use until new ones come, unless none will come.
    PALATE_RETURN_IF_ERROR(core_.ScanPrefix(kVectors, VectorPrefix(state_.number, id), "", {},
                                            [&](absl::string_view vector, absl::string_view) {
                                              batch.Delete(core_.family(kVectors), ToSlice(vector));
                                              return true;
                                            }));
  }
  pending_delta_ += static_cast<int64_t>(pending) - static_cast<int64_t>(work.was_pending);
  failed_delta_ -= static_cast<int64_t>(work.was_failed);
  return absl::OkStatus();
}

void ItemBatch::UpdateMemory() {
  state_.items += items_delta_;
  state_.pending += pending_delta_;
  state_.failed += failed_delta_;
  state_.feed_entries += static_cast<int64_t>(changes_.size());
  for (const auto& [id, work] : works_) {
    if (!work.last_change.has_value()) continue;
    core_.ForgetCached(state_, id);
    state_.trending.ItemChanged(id, AvailabilityOf(work.now));
  }
}

}  // namespace palate::featurestore
