#include "featurestore/migrate.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "featurestore/items/item_batch.h"
#include "featurestore/storage/keys.h"

namespace palate::featurestore {
namespace {

constexpr int kMigratedRowsPerBatch = 10000;

// Fills the counters of one catalog from its other rows.
class CounterRebuild {
 public:
  CounterRebuild(Database& database, uint32_t catalog)
      : database_(database), catalog_(catalog), prefix_(CatalogPrefix(catalog)) {}

  absl::Status Run() {
    batch_.DeleteRange(database_.family(kCounters), prefix_, PrefixEnd(prefix_));
    PALATE_RETURN_IF_ERROR(LoadTargets());
    PALATE_RETURN_IF_ERROR(Items());
    PALATE_RETURN_IF_ERROR(Users());
    PALATE_RETURN_IF_ERROR(Events());
    for (const auto& [digest, record] : blobs_) {
      PutRecord(batch_, database_.family(kCounters), BlobRefKey(catalog_, digest), record);
    }
    Sum(CounterTag::kItems, items_);
    Sum(CounterTag::kUsers, users_);
    Sum(CounterTag::kEvents, events_);
    if (events_ > 0) Sum(CounterTag::kNewestEvent, newest_us_);
    return database_.Write(batch_);
  }

 private:
  void Sum(CounterTag tag, int64_t value) {
    batch_.Merge(database_.family(kCounters), CounterPrefix(catalog_, tag), EncodeCount(value));
  }

  absl::Status WriteWhenLarge() {
    if (batch_.Count() < kMigratedRowsPerBatch) return absl::OkStatus();
    PALATE_RETURN_IF_ERROR(database_.Write(batch_));
    batch_.Clear();
    return absl::OkStatus();
  }

  absl::Status LoadTargets() {
    const std::string prefix = SpacePrefix(catalog_);
    return database_.ScanPrefix(
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
          database_.GetRecord<storage::VectorRecord>(
              kVectors, VectorKey(catalog_, item_id, target.name, target.fingerprint)));
      if (vector.has_value() && vector->content_revision() == content_revision) return true;
    }
    return false;
  }

  absl::Status Items() {
    return database_.ScanPrefix(
        kItems, prefix_, "", {},
        [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
          std::string id;
          key.remove_prefix(prefix_.size());
          if (!ConsumeId(key, id)) return absl::DataLossError("a stored item has a damaged key");
          PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::ItemRecord>(value, "item"));
          const int64_t content_revision = record.content_revision();
          const Item item = FromRecord(id, std::move(record));

          ++items_;
          PutFresh(batch_, database_, catalog_, item);
          for (const ImageRef& image : item.images) CountImage(image);
          if (IsEmbeddable(item)) {
            PALATE_ASSIGN_OR_RETURN(const bool embedded, IsEmbedded(id, content_revision));
            storage::EmbeddingRecord pending;
            pending.set_content_revision(content_revision);
            if (!embedded)
              PutRecord(batch_, database_.family(kCounters),
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
    return database_.ScanPrefix(
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
    return database_.ScanPrefix(
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
            batch_.Merge(database_.family(kCounters),
                         TimedItemKey(catalog_, CounterTag::kPopularity, PopularityBucket(time_us),
                                      record.item_id()),
                         EncodeCount(record.popularity_micros()));
          }

          PALATE_RETURN_IF_ERROR(WriteWhenLarge());
          return true;
        });
  }

  Database& database_;
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

absl::Status FromVersion1(Database& database) {
  return database.ScanPrefix(
      kCatalogs, std::string(1, kKeyFormat), "", {},
      [&](absl::string_view, absl::string_view value) -> absl::StatusOr<bool> {
        PALATE_ASSIGN_OR_RETURN(const auto record,
                                ParseRecord<storage::CatalogRecord>(value, "catalog"));
        PALATE_RETURN_IF_ERROR(CounterRebuild(database, record.number()).Run());
        return true;
      });
}

absl::Status WriteFormatVersion(Database& database) {
  rocksdb::WriteBatch batch;
  batch.Put(database.family(kMeta), ToSlice(kFormatVersionKey), absl::StrCat(kFormatVersion));
  return database.Write(batch);
}

// The first Open may have died between making the database and writing its version; then nothing
// else is in it.
absl::Status MarkNewDatabase(Database& database) {
  bool empty = true;
  PALATE_RETURN_IF_ERROR(
      database.ScanPrefix(kCatalogs, "", "", {}, [&](absl::string_view, absl::string_view) {
        empty = false;
        return false;
      }));
  return empty ? WriteFormatVersion(database) : database.Damaged("its format version is missing");
}

absl::Status Migrate(Database& database, int version) {
  if (version <= 1) PALATE_RETURN_IF_ERROR(FromVersion1(database));
  return WriteFormatVersion(database);
}

}  // namespace

absl::Status MigrateToCurrentFormat(Database& database) {
  PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> stored,
                          database.Get(kMeta, kFormatVersionKey));
  if (!stored.has_value()) return MarkNewDatabase(database);

  int version = 0;
  if (!absl::SimpleAtoi(*stored, &version) || version < 1)
    return database.Damaged(absl::StrCat("its format version is ", QuoteForMessage(*stored)));
  if (version > kFormatVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the feature store in ", database.dir(), " has format version ", version,
                     "; this program reads up to ", kFormatVersion, ": use a newer one"));
  }
  if (version == kFormatVersion) return absl::OkStatus();

  spdlog::info("feature store in {}: migrating format version {} to {}", database.dir(), version,
               kFormatVersion);
  return Annotate(Migrate(database, version), "migrating the feature store in ", database.dir());
}

}  // namespace palate::featurestore
