#include "featurestore/migrate.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "featurestore/items/item_batch.h"

namespace palate::featurestore {
namespace {

constexpr int kRowsPerBatch = 10000;

// Fills the counters of one catalog from its other rows.
class CounterRebuild {
 public:
  CounterRebuild(StoreCore& core, uint32_t catalog)
      : core_(core), catalog_(catalog), prefix_(CatalogPrefix(catalog)) {}

  absl::Status Run() {
    batch_.DeleteRange(core_.family(kCounters), prefix_, PrefixEnd(prefix_));
    PALATE_RETURN_IF_ERROR(LoadTargets());
    PALATE_RETURN_IF_ERROR(Items());
    PALATE_RETURN_IF_ERROR(Users());
    PALATE_RETURN_IF_ERROR(Events());
    for (const auto& [digest, record] : blobs_) {
      PutRecord(batch_, core_.family(kCounters), BlobRefKey(catalog_, digest), record);
    }
    Sum(CounterTag::kItems, items_);
    Sum(CounterTag::kUsers, users_);
    Sum(CounterTag::kEvents, events_);
    if (events_ > 0) Sum(CounterTag::kNewestEvent, newest_us_);
    return core_.Write(batch_);
  }

 private:
  void Sum(CounterTag tag, int64_t value) {
    batch_.Merge(core_.family(kCounters), CounterPrefix(catalog_, tag), EncodeCount(value));
  }

  absl::Status WriteWhenLarge() {
    if (batch_.Count() < kRowsPerBatch) return absl::OkStatus();
    PALATE_RETURN_IF_ERROR(core_.Write(batch_));
    batch_.Clear();
    return absl::OkStatus();
  }

  absl::Status LoadTargets() {
    const std::string prefix = SpacePrefix(catalog_);
    return core_.ScanPrefix(
        kMeta, prefix, "", {},
        [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
          PALATE_ASSIGN_OR_RETURN(const auto record,
                                  ParseRecord<storage::SpaceRecord>(value, "space"));
          targets_.push_back({std::string(key.substr(prefix.size())), record.target_fingerprint()});
          return true;
        });
  }

  absl::StatusOr<bool> IsEmbedded(const std::string& item_id, int64_t content_revision) const {
    for (const SpaceKey& target : targets_) {
      PALATE_ASSIGN_OR_RETURN(
          const auto vector,
          core_.GetRecord<storage::VectorRecord>(
              kVectors, VectorKey(catalog_, item_id, target.name, target.fingerprint)));
      if (vector.has_value() && vector->content_revision() == content_revision) return true;
    }
    return false;
  }

  absl::Status Items() {
    return core_.ScanPrefix(
        kItems, prefix_, "", {},
        [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
          std::string id;
          key.remove_prefix(prefix_.size());
          if (!ConsumeId(key, id)) return absl::DataLossError("a stored item has a damaged key");
          PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::ItemRecord>(value, "item"));
          const int64_t content_revision = record.content_revision();
          const Item item = FromRecord(id, std::move(record));
          ++items_;
          PutFresh(batch_, core_, catalog_, item);
          for (const ImageRef& image : item.images) CountImage(image);
          if (IsEmbeddable(item)) {
            PALATE_ASSIGN_OR_RETURN(const bool embedded, IsEmbedded(id, content_revision));
            storage::EmbeddingRecord pending;
            pending.set_content_revision(content_revision);
            if (!embedded)
              PutRecord(batch_, core_.family(kCounters),
                        TaggedItemKey(catalog_, CounterTag::kEmbedding, id), pending);
          }
          PALATE_RETURN_IF_ERROR(WriteWhenLarge());
          return true;
        });
  }

  void CountImage(const ImageRef& image) {
    storage::BlobRefRecord& record = blobs_[image.sha256];
    record.set_references(record.references() + 1);
    record.set_media_type(image.media_type);
    record.set_width(image.width);
    record.set_height(image.height);
    record.set_size_bytes(image.size_bytes);
  }

  absl::Status Users() {
    std::string last;
    return core_.ScanPrefix(
        kUsers, prefix_, "", {},
        [&](absl::string_view key, absl::string_view) -> absl::StatusOr<bool> {
          std::string id;
          absl::string_view rest = key.substr(prefix_.size());
          if (!ConsumeId(rest, id)) return absl::DataLossError("a stored user has a damaged key");
          const std::string user_prefix = UserPrefix(catalog_, id);
          if (id != last && (key == ProfileKey(user_prefix) || key == AggregateKey(user_prefix))) {
            ++users_;
            last = std::move(id);
          }
          return true;
        });
  }

  absl::Status Events() {
    return core_.ScanPrefix(
        kEvents, prefix_, "", {},
        [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
          std::string user_id;
          int64_t time_us = 0;
          key.remove_prefix(prefix_.size());
          if (!ConsumeId(key, user_id) || !ConsumeInvertedTime(key, time_us))
            return absl::DataLossError("a stored event has a damaged key");
          PALATE_ASSIGN_OR_RETURN(const auto record,
                                  ParseRecord<storage::EventRecord>(value, "event"));
          ++events_;
          newest_us_ = std::max(newest_us_, time_us);
          if (record.popularity_micros() != 0) {
            batch_.Merge(core_.family(kCounters),
                         TimedItemKey(catalog_, CounterTag::kPopularity, PopularityBucket(time_us),
                                      record.item_id()),
                         EncodeCount(record.popularity_micros()));
          }
          PALATE_RETURN_IF_ERROR(WriteWhenLarge());
          return true;
        });
  }

  StoreCore& core_;
  const uint32_t catalog_;
  const std::string prefix_;
  rocksdb::WriteBatch batch_;
  std::vector<SpaceKey> targets_;
  std::map<std::string, storage::BlobRefRecord> blobs_;
  int64_t items_ = 0;
  int64_t users_ = 0;
  int64_t events_ = 0;
  int64_t newest_us_ = 0;
};

absl::Status FromVersion1(StoreCore& core) {
  return core.ScanPrefix(kCatalogs, std::string(1, kKeyFormat), "", {},
                         [&](absl::string_view, absl::string_view value) -> absl::StatusOr<bool> {
                           PALATE_ASSIGN_OR_RETURN(
                               const auto record,
                               ParseRecord<storage::CatalogRecord>(value, "catalog"));
                           PALATE_RETURN_IF_ERROR(CounterRebuild(core, record.number()).Run());
                           return true;
                         });
}

}  // namespace

absl::Status Migrate(StoreCore& core, int version) {
  if (version <= 1) PALATE_RETURN_IF_ERROR(FromVersion1(core));
  rocksdb::WriteBatch batch;
  batch.Put(core.family(kMeta), ToSlice(kFormatVersionKey), absl::StrCat(kFormatVersion));
  return core.Write(batch);
}

}  // namespace palate::featurestore
