#include "featurestore/storage/database.h"

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
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "featurestore/storage/count_merge.h"
#include "featurestore/storage/keys.h"
#include "featurestore/storage/rocksdb_status.h"
#include "featurestore/storage/seen_merge.h"

namespace palate::featurestore {
namespace {

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
  // Every change of the file set writes a new manifest, so that a purged user's keys do not remain
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
  if (family == kUsers) {
    options.merge_operator = MakeSeenMerge();
    // Keeps reads of a busy user's seen items short between flushes: every so many additions the
    // writer combines them with the row, which is some tens of KiB at most.
    options.max_successive_merges = 4;
  }
  if (family == kCounters) {
    options.merge_operator = MakeCountMerge();
    // Keeps reads of a busy counter short between flushes.
    options.max_successive_merges = 64;
  }
  return options;
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

std::vector<rocksdb::ColumnFamilyDescriptor> FamilyDescriptors(const StoreOptions& options) {
  const std::shared_ptr<rocksdb::Cache> cache =
      rocksdb::NewLRUCache(static_cast<size_t>(options.block_cache_bytes));
  std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, rocksdb::ColumnFamilyOptions()}};
  for (int i = 0; i < kNumFamilies; ++i) {
    const Family family = static_cast<Family>(i);
    families.emplace_back(std::string(FamilyName(family)), FamilyOptions(family, options, cache));
  }
  return families;
}

// What a failure to open an existing database means: damage, unless the disk or the permissions are
// to blame.
absl::Status OpenFailure(const Database& database, const rocksdb::Status& status) {
  if (!status.IsIOError() || status.IsPathNotFound()) return database.Damaged(status.ToString());
  return FromRocksDb(status, absl::StrCat("opening the feature store in ", database.dir()));
}

}  // namespace

absl::string_view FamilyName(Family family) {
  constexpr absl::string_view kNames[kNumFamilies] = {
      "meta",  "catalogs", "items",   "users",       "events",      "vectors",
      "blobs", "counters", "changes", "impressions", "idempotence", "numbers"};
  return kNames[family];
}

Database::Database(const StoreOptions& options)
    : dir_(options.dir),
      state_dir_(absl::StrCat(options.dir, "/state")),
      durability_(options.durability) {}

Database::~Database() { (void)Close(); }

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const StoreOptions& options) {
  if (options.dir.empty()) return InvalidField("dir", "is empty", "a directory");
  auto database = std::unique_ptr<Database>(new Database(options));
  std::error_code error;
  std::filesystem::create_directories(database->state_dir_, error);
  if (error)
    return absl::InternalError(absl::StrCat(options.dir, " cannot be made: ", error.message()));

  PALATE_ASSIGN_OR_RETURN(database->directory_lock_, DirectoryLock::Acquire(options.dir));
  bool created = false;
  PALATE_RETURN_IF_ERROR(database->OpenRocksDb(options, created));

  if (!created && database->disk_bytes() <= options.verify_on_open_bytes) {
    const absl::Status verified = database->VerifyChecksums();
    if (!verified.ok()) return database->Damaged(verified.message());
  }
  return database;
}

absl::Status Database::OpenRocksDb(const StoreOptions& options, bool& created) {
  created = !HoldsDatabase(state_dir_);
  const rocksdb::DBOptions database = DatabaseOptions(created);
  if (!created) PALATE_RETURN_IF_ERROR(CheckFamilies(database));

  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      rocksdb::DB::Open(database, state_dir_, FamilyDescriptors(options), &handles, &db);
  if (!opened.ok() && created)
    return FromRocksDb(opened, absl::StrCat("making a feature store in ", dir_));
  if (!opened.ok()) return OpenFailure(*this, opened);

  db_.reset(db);
  default_handle_ = handles[0];
  std::copy(handles.begin() + 1, handles.end(), handles_.begin());
  return absl::OkStatus();
}

absl::Status Database::CheckFamilies(const rocksdb::DBOptions& database) const {
  // A store that lost its CURRENT file would otherwise be taken for a new one.
  if (!std::filesystem::exists(absl::StrCat(state_dir_, "/CURRENT")))
    return Damaged("its file CURRENT is missing");
  std::vector<std::string> names;
  const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(database, state_dir_, &names);
  if (!listed.ok()) return OpenFailure(*this, listed);

  std::set<std::string> known = {rocksdb::kDefaultColumnFamilyName};
  for (int i = 0; i < kNumFamilies; ++i)
    known.insert(std::string(FamilyName(static_cast<Family>(i))));
  for (const std::string& name : names) {
    if (!known.contains(name)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the feature store in ", dir_, " was written by a newer version: it holds ",
                       QuoteForMessage(name)));
    }
  }
  return absl::OkStatus();
}

absl::Status Database::Close() {
  RefuseCalls();
  const ExclusiveHold hold(close_lock_);
  if (db_ == nullptr) return absl::OkStatus();

  const rocksdb::Status synced =
      durability_ == Durability::kSync ? db_->SyncWAL() : rocksdb::Status::OK();
  for (rocksdb::ColumnFamilyHandle*& handle : handles_) {
    db_->DestroyColumnFamilyHandle(handle);
    handle = nullptr;
  }
  db_->DestroyColumnFamilyHandle(default_handle_);
  const rocksdb::Status closed = db_->Close();
  db_.reset();
  directory_lock_.Release();

  // A database without unwritten log answers "not supported" to SyncWAL on some file systems; its
  // writes were synced one by one.
  PALATE_RETURN_IF_ERROR(
      FromRocksDb(synced.IsNotSupported() ? rocksdb::Status::OK() : synced, "closing the store"));
  return FromRocksDb(closed, "closing the store");
}

absl::StatusOr<SharedHold> Database::Enter() {
  if (closing_) return absl::UnavailableError("the feature store is closed");
  SharedHold hold(close_lock_);
  if (closing_) return absl::UnavailableError("the feature store is closed");
  return hold;
}

absl::Status Database::Damaged(absl::string_view what) const {
  return absl::DataLossError(
      absl::StrCat("the feature store in ", dir_, " is damaged: ", what,
                   ". Restore it from a copy, or move it aside to start empty"));
}

absl::Status Database::Write(rocksdb::WriteBatch& batch) {
  rocksdb::WriteOptions write;
  write.sync = durability_ == Durability::kSync;
  return FromRocksDb(db_->Write(write, &batch), "writing to the store");
}

absl::Status Database::WriteUnsynced(rocksdb::WriteBatch& batch) {
  return FromRocksDb(db_->Write(rocksdb::WriteOptions(), &batch), "writing to the store");
}

absl::Status Database::WriteSynced(rocksdb::WriteBatch& batch) {
  rocksdb::WriteOptions write;
  write.sync = true;
  return FromRocksDb(db_->Write(write, &batch), "writing to the store");
}

absl::StatusOr<std::optional<std::string>> Database::Get(Family family, absl::string_view key,
                                                         const rocksdb::ReadOptions& read) const {
  std::string value;
  const rocksdb::Status status = db_->Get(read, handles_[family], ToSlice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  PALATE_RETURN_IF_ERROR(FromRocksDb(status, absl::StrCat("reading from ", FamilyName(family))));
  return std::optional<std::string>(std::move(value));
}

absl::StatusOr<std::vector<std::optional<rocksdb::PinnableSlice>>> Database::MultiGet(
    Family family, const std::vector<std::string>& keys, const rocksdb::ReadOptions& read) const {
  std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  std::vector<rocksdb::PinnableSlice> values(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  db_->MultiGet(read, handles_[family], keys.size(), slices.data(), values.data(), statuses.data());

  std::vector<std::optional<rocksdb::PinnableSlice>> rows(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].IsNotFound()) continue;
    PALATE_RETURN_IF_ERROR(
        FromRocksDb(statuses[i], absl::StrCat("reading from ", FamilyName(family))));
    rows[i] = std::move(values[i]);
  }
  return rows;
}

absl::Status Database::ScanPrefix(Family family, absl::string_view prefix, absl::string_view from,
                                  const rocksdb::ReadOptions& read, const Visitor& visit) const {
  const std::string end = PrefixEnd(prefix);
  const rocksdb::Slice upper(end);
  rocksdb::ReadOptions bounded = read;
  if (!end.empty()) bounded.iterate_upper_bound = &upper;

  const std::unique_ptr<rocksdb::Iterator> rows(db_->NewIterator(bounded, handles_[family]));
  for (rows->Seek(ToSlice(from.empty() ? prefix : from)); rows->Valid(); rows->Next()) {
    PALATE_ASSIGN_OR_RETURN(const bool more, visit(ToView(rows->key()), ToView(rows->value())));
    if (!more) return absl::OkStatus();
  }
  return FromRocksDb(rows->status(), absl::StrCat("reading from ", FamilyName(family)));
}

absl::StatusOr<std::optional<std::string>> Database::LastKey(Family family,
                                                             absl::string_view prefix) const {
  const std::unique_ptr<rocksdb::Iterator> rows(
      db_->NewIterator(rocksdb::ReadOptions(), handles_[family]));
  const std::string end = PrefixEnd(prefix);
  rows->SeekForPrev(end);
  // The end itself belongs to the next prefix.
  if (rows->Valid() && ToView(rows->key()) == end) rows->Prev();
  PALATE_RETURN_IF_ERROR(
      FromRocksDb(rows->status(), absl::StrCat("reading from ", FamilyName(family))));
  if (!rows->Valid() || !absl::StartsWith(ToView(rows->key()), prefix))
    return std::optional<std::string>();
  return std::optional<std::string>(rows->key().ToString());
}

absl::Status Database::VerifyChecksums() const {
  return FromRocksDb(db_->VerifyFileChecksums(rocksdb::ReadOptions()), "verifying checksums");
}

int64_t Database::disk_bytes() const {
  int64_t bytes = 0;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(state_dir_, error)) {
    std::error_code file_error;
    const auto size = file.file_size(file_error);
    if (!file_error) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

int64_t Database::memory_bytes() const {
  int64_t total = 0;
  uint64_t bytes = 0;
  if (db_->GetAggregatedIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &bytes))
    total += static_cast<int64_t>(bytes);
  // One block cache serves every column family.
  if (db_->GetIntProperty(family(kItems), rocksdb::DB::Properties::kBlockCacheUsage, &bytes))
    total += static_cast<int64_t>(bytes);
  return total;
}

}  // namespace palate::featurestore
