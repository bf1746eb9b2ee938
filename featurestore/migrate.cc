#include "featurestore/migrate.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "domain/item_number_set.h"
#include "featurestore/items/item_batch.h"
#include "featurestore/storage/item_numbers.h"
#include "featurestore/storage/keys.h"

namespace palate::featurestore {
namespace {

constexpr int kMigratedRowsPerBatch = 10000;

absl::Status WriteFormatVersion(Database& database, int version) {
  rocksdb::WriteBatch batch;
  batch.Put(database.family(kMeta), ToSlice(kFormatVersionKey), absl::StrCat(version));
  return database.Write(batch);
}

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

// Numbers the items of one catalog and turns its users' seen rows into sets of numbers. Every batch
// leaves rows of which the rest can be done later.
class NumberItems {
 public:
  NumberItems(Database& database, uint32_t catalog)
      : database_(database),
        catalog_(catalog),
        prefix_(CatalogPrefix(catalog)),
        numbers_(catalog) {}

  absl::Status Run() {
    PALATE_RETURN_IF_ERROR(numbers_.Load(database_));
    PALATE_RETURN_IF_ERROR(Items());
    return Users();
  }

 private:
  absl::Status Items() {
    std::vector<std::string> ids;
    std::vector<storage::ItemRecord> records;
    PALATE_RETURN_IF_ERROR(database_.ScanPrefix(
        kItems, prefix_, "", {},
        [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
          key.remove_prefix(prefix_.size());
          if (!ConsumeId(key, ids.emplace_back()))
            return absl::DataLossError("a stored item has a damaged key");
          PALATE_ASSIGN_OR_RETURN(records.emplace_back(),
                                  ParseRecord<storage::ItemRecord>(value, "item"));
          if (ids.size() >= kItemsPerBatch) PALATE_RETURN_IF_ERROR(WriteItems(ids, records));
          return true;
        }));
    return WriteItems(ids, records);
  }

  absl::Status WriteItems(std::vector<std::string>& ids,
                          std::vector<storage::ItemRecord>& records) {
    PALATE_ASSIGN_OR_RETURN(const std::vector<uint32_t> numbers, numbers_.Assign(database_, ids));
    rocksdb::WriteBatch batch;
    for (size_t i = 0; i < ids.size(); ++i) {
      records[i].set_number(numbers[i]);
      PutRecord(batch, database_.family(kItems), ItemKey(catalog_, ids[i]), records[i]);
    }
    ids.clear();
    records.clear();
    return database_.Write(batch);
  }

  absl::Status Users() {
    std::string user_prefix;
    std::vector<std::string> items;
    PALATE_RETURN_IF_ERROR(
        database_.ScanPrefix(kUsers, prefix_, "", {},
                             [&](absl::string_view key, absl::string_view) -> absl::StatusOr<bool> {
                               std::string user;
                               absl::string_view rest = key.substr(prefix_.size());
                               if (!ConsumeId(rest, user))
                                 return absl::DataLossError("a stored user has a damaged key");
                               const std::string prefix = UserPrefix(catalog_, user);
                               if (!absl::StartsWith(key, OldSeenPrefix(prefix))) return true;

                               if (prefix != user_prefix || items.size() >= kMigratedRowsPerBatch)
                                 PALATE_RETURN_IF_ERROR(WriteSeen(user_prefix, items));
                               user_prefix = prefix;
                               rest.remove_prefix(OldSeenPrefix(prefix).size() - prefix.size());
                               if (!ConsumeId(rest, items.emplace_back()))
                                 return absl::DataLossError("a stored seen item has a damaged key");
                               return true;
                             }));
    return WriteSeen(user_prefix, items);
  }

  absl::Status WriteSeen(const std::string& user_prefix, std::vector<std::string>& items) {
    if (items.empty()) return absl::OkStatus();
    PALATE_ASSIGN_OR_RETURN(const std::vector<uint32_t> numbers, numbers_.Assign(database_, items));
    ItemNumberSet seen;
    rocksdb::WriteBatch batch;
    for (size_t i = 0; i < items.size(); ++i) {
      seen.Add(numbers[i]);
      std::string old_key = OldSeenPrefix(user_prefix);
      AppendId(items[i], old_key);
      batch.Delete(database_.family(kUsers), old_key);
    }
    batch.Merge(database_.family(kUsers), SeenKey(user_prefix), seen.Serialize());
    items.clear();
    return database_.Write(batch);
  }

  static constexpr size_t kItemsPerBatch = 256;

  Database& database_;
  const uint32_t catalog_;
  const std::string prefix_;
  ItemNumbers numbers_;
};

// Does the step for every catalog, by its number, and then writes the version that it leads to.
absl::Status MigrateCatalogs(Database& database, int to_version,
                             const std::function<absl::Status(uint32_t catalog)>& step) {
  PALATE_RETURN_IF_ERROR(database.ScanPrefix(
      kCatalogs, std::string(1, kKeyFormat), "", {},
      [&](absl::string_view, absl::string_view value) -> absl::StatusOr<bool> {
        PALATE_ASSIGN_OR_RETURN(const auto record,
                                ParseRecord<storage::CatalogRecord>(value, "catalog"));
        PALATE_RETURN_IF_ERROR(step(record.number()));
        return true;
      }));
  return WriteFormatVersion(database, to_version);
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
  return empty ? WriteFormatVersion(database, kFormatVersion)
               : database.Damaged("its format version is missing");
}

absl::Status Migrate(Database& database, int version) {
  if (version <= 1) {
    PALATE_RETURN_IF_ERROR(MigrateCatalogs(
        database, 2, [&](uint32_t catalog) { return CounterRebuild(database, catalog).Run(); }));
  }
  return MigrateCatalogs(database, 3,
                         [&](uint32_t catalog) { return NumberItems(database, catalog).Run(); });
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
