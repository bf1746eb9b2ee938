// Opening: the directory's lock, the database, the format version, and the state in memory that the
// rows imply.
#include <rocksdb/cache.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "featurestore/migrate.h"
#include "featurestore/storage/count_merge.h"
#include "featurestore/storage/rocksdb_status.h"
#include "featurestore/storage/store_core.h"

namespace palate::featurestore {
namespace {

// Room between the positions of two Opens: larger than what a power loss can take back under
// relaxed durability.
constexpr int64_t kEpochGap = int64_t{1} << 20;

// RocksDB's own warnings and errors go to our log. Its informational log would keep keys, and with
// them user ids, in files that no purge reaches, so it is not written.
class ForwardingLogger final : public rocksdb::Logger {
 public:
  ForwardingLogger() : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < rocksdb::InfoLogLevel::WARN_LEVEL || level >= rocksdb::InfoLogLevel::HEADER_LEVEL)
      return;
    char line[512];
    vsnprintf(line, sizeof(line), format, arguments);
    line[strcspn(line, "\n")] = '\0';
    if (level == rocksdb::InfoLogLevel::WARN_LEVEL) {
      spdlog::warn("rocksdb: {}", line);
    } else {
      spdlog::error("rocksdb: {}", line);
    }
  }
};

rocksdb::DBOptions DatabaseOptions(bool create) {
  rocksdb::DBOptions options;
  options.create_if_missing = create;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  // Only a record that the last crash cut short is dropped; any other damage in a log refuses to
  // open instead of losing writes silently.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.track_and_verify_wals_in_manifest = true;
  // Every change of the file set writes a new manifest, so that a purged user's keys do not live on
  // as file bounds in an old one.
  options.max_manifest_file_size = 1;
  options.max_total_wal_size = 256 << 20;
  options.max_background_jobs = 2;
  options.max_open_files = -1;
  options.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  options.info_log = std::make_shared<ForwardingLogger>();
  return options;
}

rocksdb::ColumnFamilyOptions FamilyOptions(Family family, const StoreOptions& store,
                                           const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.block_size = 8 << 10;
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = static_cast<size_t>(store.write_buffer_bytes);
  options.compression = rocksdb::kNoCompression;
  options.paranoid_file_checks = true;
  if (family == kBlobs) {
    options.enable_blob_files = true;
    options.min_blob_size = 4 << 10;
    options.enable_blob_garbage_collection = true;
  }
  if (family == kCounters) {
    options.merge_operator = MakeCountMerge();
    // Keeps reads of a busy counter short between flushes.
    options.max_successive_merges = 64;
  }
  return options;
}

absl::Status Damaged(const std::string& dir, const std::string& what) {
  return absl::DataLossError(
      absl::StrCat("the feature store in ", dir, " is damaged: ", what,
                   ". Restore it from a copy, or move it aside to start empty"));
}

// Whether the directory holds a database, whole or not. A process that died while making one leaves
// a manifest, but neither tables nor logs.
bool HoldsDatabase(const std::string& dir) {
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(dir, error)) {
    const std::string name = file.path().filename().string();
    if (name == "CURRENT" || absl::EndsWith(name, ".sst") || absl::EndsWith(name, ".blob") ||
        absl::EndsWith(name, ".log"))
      return true;
  }
  return false;
}

// What a failure to open an existing database means: damage, unless the disk or the permissions are
// to blame.
absl::Status OpenFailure(const std::string& dir, const rocksdb::Status& status) {
  if (!status.IsIOError() || status.IsPathNotFound()) return Damaged(dir, status.ToString());
  return FromRocksDb(status, absl::StrCat("opening the feature store in ", dir));
}

int64_t DirectoryBytes(const std::string& dir) {
  int64_t bytes = 0;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(dir, error)) {
    std::error_code file_error;
    const auto size = file.file_size(file_error);
    if (!file_error) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StoreCore>> StoreCore::Open(StoreOptions store_options) {
  if (store_options.dir.empty()) return InvalidField("dir", "is empty", "a directory");
  std::error_code error;
  std::filesystem::create_directories(absl::StrCat(store_options.dir, "/state"), error);
  if (error)
    return absl::InternalError(
        absl::StrCat(store_options.dir, " cannot be made: ", error.message()));
  auto core = std::unique_ptr<StoreCore>(new StoreCore(std::move(store_options)));
  PALATE_ASSIGN_OR_RETURN(core->directory_lock_, DirectoryLock::Acquire(core->options.dir));
  PALATE_RETURN_IF_ERROR(core->OpenDatabase());
  if (!core->created_ && DirectoryBytes(core->state_dir()) <= core->options.verify_on_open_bytes) {
    const absl::Status verified = core->VerifyChecksums();
    if (!verified.ok()) return Damaged(core->options.dir, std::string(verified.message()));
  }
  PALATE_RETURN_IF_ERROR(core->CheckFormat());
  PALATE_RETURN_IF_ERROR(core->LoadCatalogs());
  PALATE_RETURN_IF_ERROR(core->StartFeed());
  PALATE_RETURN_IF_ERROR(core->FinishInterruptedWork());
  return core;
}

absl::Status StoreCore::OpenDatabase() {
  const std::string dir = state_dir();
  created_ = !HoldsDatabase(dir);
  const rocksdb::DBOptions database = DatabaseOptions(created_);
  if (!created_) {
    // A store that lost its CURRENT file would otherwise be taken for a new one.
    if (!std::filesystem::exists(absl::StrCat(dir, "/CURRENT")))
      return Damaged(options.dir, "its file CURRENT is missing");
    std::vector<std::string> names;
    const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(database, dir, &names);
    if (!listed.ok()) return OpenFailure(options.dir, listed);
    std::set<std::string> known = {rocksdb::kDefaultColumnFamilyName};
    for (int i = 0; i < kNumFamilies; ++i)
      known.insert(std::string(FamilyName(static_cast<Family>(i))));
    for (const std::string& name : names) {
      if (!known.contains(name)) {
        return absl::FailedPreconditionError(
            absl::StrCat("the feature store in ", options.dir,
                         " was written by a newer version: it holds ", QuoteForMessage(name)));
      }
    }
  }
  const std::shared_ptr<rocksdb::Cache> cache =
      rocksdb::NewLRUCache(static_cast<size_t>(options.block_cache_bytes));
  std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, rocksdb::ColumnFamilyOptions()}};
  for (int i = 0; i < kNumFamilies; ++i) {
    const Family family = static_cast<Family>(i);
    families.emplace_back(std::string(FamilyName(family)), FamilyOptions(family, options, cache));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(database, dir, families, &handles, &db);
  if (!opened.ok() && created_)
    return FromRocksDb(opened, absl::StrCat("making a feature store in ", options.dir));
  if (!opened.ok()) return OpenFailure(options.dir, opened);
  db_.reset(db);
  default_handle_ = handles[0];
  std::copy(handles.begin() + 1, handles.end(), handles_.begin());
  return absl::OkStatus();
}

absl::Status StoreCore::CheckFormat() {
  PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> stored, Get(kMeta, kFormatVersionKey));
  int version = 0;
  if (!stored.has_value()) {
    // The first Open may have died between making the database and writing its version; then
    // nothing else is in it.
    bool empty = true;
    PALATE_RETURN_IF_ERROR(
        ScanPrefix(kCatalogs, "", "", {}, [&](absl::string_view, absl::string_view) {
          empty = false;
          return false;
        }));
    if (!empty) return Damaged(options.dir, "its format version is missing");
    rocksdb::WriteBatch batch;
    batch.Put(handles_[kMeta], ToSlice(kFormatVersionKey), absl::StrCat(kFormatVersion));
    return Write(batch);
  }
  if (!absl::SimpleAtoi(*stored, &version) || version < 1) {
    return Damaged(options.dir, absl::StrCat("its format version is ", QuoteForMessage(*stored)));
  }
  if (version > kFormatVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the feature store in ", options.dir, " has format version ", version,
                     "; this program reads up to ", kFormatVersion, ": use a newer one"));
  }
  if (version == kFormatVersion) return absl::OkStatus();
  spdlog::info("feature store in {}: migrating format version {} to {}", options.dir, version,
               kFormatVersion);
  return Annotate(Migrate(*this, version), "migrating the feature store in ", options.dir);
}

absl::Status StoreCore::LoadCatalogs() {
  PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> next, Get(kMeta, kNextCatalogKey));
  if (next.has_value()) {
    PALATE_ASSIGN_OR_RETURN(const int64_t number, DecodeCount(*next));
    next_catalog = static_cast<uint32_t>(number);
  }
  const std::string prefix(1, kKeyFormat);
  PALATE_RETURN_IF_ERROR(
      ScanPrefix(kCatalogs, prefix, "", {},
                 [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
                   std::string id;
                   key.remove_prefix(1);
                   if (!ConsumeId(key, id) || !key.empty())
                     return absl::DataLossError("a stored catalog has a damaged key");
                   PALATE_ASSIGN_OR_RETURN(const auto record,
                                           ParseRecord<storage::CatalogRecord>(value, "catalog"));
                   PALATE_ASSIGN_OR_RETURN(Catalog catalog, FromRecord(id, record));
                   auto state = std::make_shared<CatalogState>(record.number(), id);
                   {
                     MutexLock lock(state->mutex);
                     state->catalog = std::make_shared<const Catalog>(std::move(catalog));
                   }
                   AddCatalog(std::move(state));
                   return true;
                 }));
  for (const std::shared_ptr<CatalogState>& state : AllCatalogs())
    PALATE_RETURN_IF_ERROR(LoadCatalog(*state));
  return absl::OkStatus();
}

absl::Status StoreCore::LoadCatalog(CatalogState& state) {
  const auto load = [&](CounterTag tag, std::atomic<int64_t>& into) -> absl::Status {
    PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                            Get(kCounters, CounterPrefix(state.number, tag)));
    if (!row.has_value()) return absl::OkStatus();
    PALATE_ASSIGN_OR_RETURN(const int64_t value, DecodeCount(*row));
    into = value;
    return absl::OkStatus();
  };
  PALATE_RETURN_IF_ERROR(load(CounterTag::kItems, state.items));
  PALATE_RETURN_IF_ERROR(load(CounterTag::kUsers, state.users));
  PALATE_RETURN_IF_ERROR(load(CounterTag::kEvents, state.events));
  PALATE_RETURN_IF_ERROR(load(CounterTag::kNewestEvent, state.newest_event_us));
  const std::string spaces = SpacePrefix(state.number);
  PALATE_RETURN_IF_ERROR(ScanPrefix(
      kMeta, spaces, "", {},
      [&](absl::string_view key, absl::string_view value) -> absl::StatusOr<bool> {
        PALATE_ASSIGN_OR_RETURN(auto record, ParseRecord<storage::SpaceRecord>(value, "space"));
        MutexLock lock(state.mutex);
        state.spaces[std::string(key.substr(spaces.size()))] = std::move(record);
        return true;
      }));
  return ScanPrefix(kCounters, CounterPrefix(state.number, CounterTag::kEmbedding), "", {},
                    [&](absl::string_view, absl::string_view value) -> absl::StatusOr<bool> {
                      PALATE_ASSIGN_OR_RETURN(
                          const auto record,
                          ParseRecord<storage::EmbeddingRecord>(value, "embedding state"));
                      ++(record.failure_code() == 0 ? state.pending : state.failed);
                      return true;
                    });
}

absl::Status StoreCore::LoadFeedOf(CatalogState& state, int64_t& last) {
  PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> trimmed,
                          Get(kMeta, FeedTrimKey(state.number)));
  if (trimmed.has_value()) {
    PALATE_ASSIGN_OR_RETURN(const int64_t position, DecodeCount(*trimmed));
    state.trim_position = position;
    last = std::max(last, position);
  }
  return ScanPrefix(kChanges, CatalogPrefix(state.number), "", {},
                    [&](absl::string_view key, absl::string_view) -> absl::StatusOr<bool> {
                      uint32_t number = 0;
                      int64_t position = 0;
                      if (!ParseChangeKey(key, number, position))
                        return absl::DataLossError("a stored change has a damaged key");
                      last = std::max(last, position);
                      ++state.feed_entries;
                      return true;
                    });
}

absl::Status StoreCore::StartFeed() {
  int64_t last = 0;
  PALATE_RETURN_IF_ERROR(LoadFeedOf(*catalog_feed, last));
  for (const std::shared_ptr<CatalogState>& state : AllCatalogs())
    PALATE_RETURN_IF_ERROR(LoadFeedOf(*state, last));
  PALATE_RETURN_IF_ERROR(ScanPrefix(
      kMeta, kFeedEpochPrefix, "", {},
      [&](absl::string_view, absl::string_view value) -> absl::StatusOr<bool> {
        PALATE_ASSIGN_OR_RETURN(const auto record,
                                ParseRecord<storage::FeedEpochRecord>(value, "feed epoch"));
        epochs_.push_back({record.start(), record.previous_last()});
        last = std::max(last, record.start() - 1);
        return true;
      }));
  const FeedEpoch epoch = {epochs_.empty() ? last + 1 : last + 1 + kEpochGap, last};
  storage::FeedEpochRecord record;
  record.set_start(epoch.start);
  record.set_previous_last(epoch.previous_last);
  rocksdb::WriteBatch batch;
  PutRecord(batch, handles_[kMeta], FeedEpochKey(epoch.start), record);
  PALATE_RETURN_IF_ERROR(Write(batch));
  epochs_.push_back(epoch);
  feed.Start(epoch.start);
  return absl::OkStatus();
}

bool StoreCore::LostBehind(int64_t position) const {
  for (const FeedEpoch& epoch : epochs_) {
    // start - 1 is what a reader of this very epoch holds before its first entry.
    if (epoch.start > position) return position > epoch.previous_last && position < epoch.start - 1;
  }
  return position > feed.watermark();
}

absl::Status StoreCore::FinishInterruptedWork() {
  for (const std::shared_ptr<CatalogState>& state : AllCatalogs()) {
    PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> stale,
                            Get(kMeta, StaleVectorsKey(state->number)));
    if (stale.has_value()) PALATE_RETURN_IF_ERROR(DeleteStaleVectors(*state));
  }
  PALATE_ASSIGN_OR_RETURN(const std::optional<std::string> purging, Get(kMeta, kPurgePendingKey));
  if (!purging.has_value()) return absl::OkStatus();
  spdlog::warn("feature store in {}: completing a purge that was cut short", options.dir);
  return EraseTraces({});
}

absl::Status StoreCore::VerifyChecksums() const {
  return FromRocksDb(db_->VerifyFileChecksums(rocksdb::ReadOptions()), "verifying checksums");
}

}  // namespace palate::featurestore
