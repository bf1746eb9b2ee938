#include "featurestore/items/item_batch.h"

#include <utility>

#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/storage/embedding_state.h"
#include "featurestore/storage/keys.h"

namespace palate::featurestore {
namespace {

// REQUIRES: the item has a create_time, as every stored one does.
std::string FreshKey(uint32_t catalog, const Item& item) {
  return TimedItemKey(catalog, CounterTag::kFresh, ToMicros(*item.create_time), item.id);
}

}  // namespace

bool IsEmbeddable(const Item& item) {
  return !item.title.empty() || !item.description.empty() || !item.attributes.empty() ||
         !item.images.empty();
}

bool SameContent(const Item& a, const Item& b) {
  return a.title == b.title && a.description == b.description && a.attributes == b.attributes &&
         a.images == b.images && a.refused_images == b.refused_images;
}

bool SameItem(const Item& a, const Item& b) {
  return SameContent(a, b) && a.hidden == b.hidden && a.create_time == b.create_time &&
         a.expire_time == b.expire_time;
}

Availability AvailabilityOf(const std::optional<Item>& item) {
  if (!item.has_value() || item->hidden) return {};
  return {true, item->expire_time};
}

void PutFresh(rocksdb::WriteBatch& batch, const Database& database, uint32_t catalog,
              const Item& item) {
  if (item.hidden) return;
  std::string expiry;
  if (item.expire_time.has_value())
    AppendBigEndian64(static_cast<uint64_t>(ToMicros(*item.expire_time)), expiry);
  batch.Put(database.family(kCounters), FreshKey(catalog, item), expiry);
}

absl::Status ItemBatch::Load(const std::vector<std::string>& ids) {
  for (const std::string& id : ids) works_.try_emplace(id);

  std::vector<std::string> item_keys;
  std::vector<std::string> embedding_keys;
  for (const auto& [id, work] : works_) {
    item_keys.push_back(ItemKey(state_.number(), id));
    embedding_keys.push_back(TaggedItemKey(state_.number(), CounterTag::kEmbedding, id));
  }

  PALATE_ASSIGN_OR_RETURN(auto items,
                          database_.MultiGetRecords<storage::ItemRecord>(kItems, item_keys));
  PALATE_ASSIGN_OR_RETURN(auto embeddings, database_.MultiGetRecords<storage::EmbeddingRecord>(
                                               kCounters, embedding_keys));

  size_t i = 0;
  for (auto& [id, work] : works_) {
    if (items[i].has_value()) {
      work.content_revision = items[i]->content_revision();
      work.before = FromRecord(id, *std::move(items[i]));
      work.now = work.before;
    }
    work.embedding = std::move(embeddings[i]);
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
  const size_t number = notes_.size();
  notes_.push_back({id, now.has_value() ? ChangeKind::kItemUpserted : ChangeKind::kItemDeleted});
  const bool same_content = work.now.has_value() && now.has_value() && SameContent(*work.now, *now);
  if (!same_content) work.content_change = number;
  work.last_change = number;
  work.now = std::move(now);
  if (work.now.has_value()) work.now->revision = kNewRevision;
  return number;
}

absl::StatusOr<int64_t> ItemBatch::Commit() {
  if (notes_.empty()) return 0;
  PALATE_RETURN_IF_ERROR(NumberNewItems());
  const auto reservation = changes_.Reserve(static_cast<int64_t>(notes_.size()));
  const int64_t first = reservation->first();

  rocksdb::WriteBatch batch;
  for (auto& [id, work] : works_) {
    if (work.last_change.has_value()) PALATE_RETURN_IF_ERROR(WriteItem(id, work, first, batch));
  }

  blobs_.Write(batch);
  for (size_t i = 0; i < notes_.size(); ++i) {
    const int64_t position = first + static_cast<int64_t>(i);
    changes_.Add(batch, state_.number(), position, notes_[i].kind, notes_[i].id, position);
  }
  if (delta_.items != 0) {
    batch.Merge(database_.family(kCounters), CounterPrefix(state_.number(), CounterTag::kItems),
                EncodeCount(delta_.items));
  }

  PALATE_RETURN_IF_ERROR(database_.Write(batch));
  UpdateMemory();
  return first;
}

absl::Status ItemBatch::NumberNewItems() {
  std::vector<std::string> ids;
  for (const auto& [id, work] : works_) {
    if (work.now.has_value() && work.now->number == 0) ids.push_back(id);
  }
  PALATE_ASSIGN_OR_RETURN(const std::vector<uint32_t> numbers,
                          state_.item_numbers().Assign(database_, ids));
  for (size_t i = 0; i < ids.size(); ++i) works_.at(ids[i]).now->number = numbers[i];
  return absl::OkStatus();
}

absl::Status ItemBatch::WriteItem(const std::string& id, Work& work, int64_t first,
                                  rocksdb::WriteBatch& batch) {
  const std::string key = ItemKey(state_.number(), id);
  if (work.before.has_value() && !work.before->hidden)
    batch.Delete(database_.family(kCounters), FreshKey(state_.number(), *work.before));
  if (work.content_change.has_value())
    work.content_revision = first + static_cast<int64_t>(*work.content_change);
  if (work.now.has_value()) {
    work.now->revision = first + static_cast<int64_t>(*work.last_change);
    PutRecord(batch, database_.family(kItems), key, ToRecord(*work.now, work.content_revision));
    PutFresh(batch, database_, state_.number(), *work.now);
  } else {
    batch.Delete(database_.family(kItems), key);
  }
  delta_.items +=
      static_cast<int64_t>(work.now.has_value()) - static_cast<int64_t>(work.before.has_value());
  return work.content_change.has_value() ? WriteEmbeddingState(id, work, batch) : absl::OkStatus();
}

absl::Status ItemBatch::WriteEmbeddingState(const std::string& id, const Work& work,
                                            rocksdb::WriteBatch& batch) {
  const std::string key = TaggedItemKey(state_.number(), CounterTag::kEmbedding, id);
  const bool pending = work.now.has_value() && IsEmbeddable(*work.now);
  storage::EmbeddingRecord row;
  row.set_done(true);
  if (work.now.has_value()) row = NewEmbeddingRow(*work.now, work.content_revision, pending);

  if (IsEmptyRow(row)) {
    batch.Delete(database_.family(kCounters), key);
  } else {
    PutRecord(batch, database_.family(kCounters), key, row);
  }
  if (!pending) {
    // Vectors of the previous content stay in use until new ones are stored, if there will be any.
    PALATE_RETURN_IF_ERROR(database_.ScanPrefix(kVectors, VectorPrefix(state_.number(), id), "", {},
                                                [&](absl::string_view vector, absl::string_view) {
                                                  batch.Delete(database_.family(kVectors),
                                                               ToSlice(vector));
                                                  return true;
                                                }));
  }

  AddRow(row, 1, delta_);
  if (work.embedding.has_value()) AddRow(*work.embedding, -1, delta_);
  return absl::OkStatus();
}

void ItemBatch::UpdateMemory() {
  delta_.feed_entries = static_cast<int64_t>(notes_.size());
  state_.AddCounts(delta_);
  for (const auto& [id, work] : works_) {
    if (!work.last_change.has_value()) continue;
    cache_.Invalidate(ItemRecordCache::Key(state_.number(), state_.switches(), id));
    state_.trending().ItemChanged(id, AvailabilityOf(work.now));
    if (work.now.has_value() && !work.now->hidden)
      state_.expired_fresh().RowWritten(FreshKey(state_.number(), *work.now));
  }
}

}  // namespace palate::featurestore
