#include "embedding/cache/item_cache.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/log.h"

namespace palate::embedding {
namespace {

namespace fs = std::filesystem;

// First byte of keys and values: entries of another format are misses and are evicted in time.
constexpr char kFormat = 1;
constexpr size_t kValueHeader = 1 + 1 + 8 + 8;  // format, present, tokens, truncated tokens
constexpr size_t kBlockCacheBytes = 8 << 20;

// One memtable flushes to one file, so eviction drops at most a sixteenth at a time.
size_t WriteBufferBytes(int64_t max_bytes) {
  return static_cast<size_t>(std::clamp<int64_t>(max_bytes / 16, 64 << 10, 32 << 20));
}

rocksdb::Options DatabaseOptions(int64_t max_bytes) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = WriteBufferBytes(max_bytes);
  options.compaction_style = rocksdb::kCompactionStyleFIFO;

  // Leaves room for the logs of two memtables, and for a file that is written before the oldest one
  // is dropped.
  options.compaction_options_fifo.max_table_files_size =
      static_cast<uint64_t>(max_bytes) - 4 * options.write_buffer_size;
  // Merges the small files that restarts leave, but never beyond the size of the other files,
  // because the oldest file is dropped as a whole.
  options.compaction_options_fifo.allow_compaction = true;
  options.max_compaction_bytes = options.write_buffer_size;
  options.compression = rocksdb::kNoCompression;  // vectors do not compress

  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));  // any file may contain a key
  table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));

  options.max_manifest_file_size = 1 << 20;
  options.max_log_file_size = 1 << 20;
  options.keep_log_file_num = 2;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

bool IsDamage(const rocksdb::Status& status) {
  return status.IsCorruption() || status.IsInvalidArgument() || status.IsNotSupported() ||
         status.IsPathNotFound() || status.IsNotFound();
}

// Returns false and sets `error` if the folder cannot be renamed.
bool SetAside(const std::string& dir, std::error_code& error) {
  const std::string aside = dir + ".damaged";
  fs::remove_all(aside, error);  // an earlier damaged folder
  if (!error) fs::rename(dir, aside, error);
  return !error;
}

std::string EncodeValue(const CachedVector& vector) {
  std::string value = {kFormat, static_cast<char>(vector.present ? 1 : 0)};
  AppendBigEndian64(static_cast<uint64_t>(vector.tokens), value);
  AppendBigEndian64(static_cast<uint64_t>(vector.truncated_tokens), value);
  value += FloatsToBytes(vector.values);
  return value;
}

std::optional<CachedVector> DecodeValue(absl::string_view value) {
  if (value.size() < kValueHeader || value[0] != kFormat) return std::nullopt;

  CachedVector vector;
  vector.present = value[1] != 0;
  value.remove_prefix(2);
  uint64_t tokens = 0;
  uint64_t truncated = 0;
  ConsumeBigEndian64(value, tokens);
  ConsumeBigEndian64(value, truncated);
  absl::StatusOr<std::vector<float>> values = FloatsFromBytes(value);
  if (!values.ok()) return std::nullopt;

  vector.tokens = static_cast<int64_t>(tokens);
  vector.truncated_tokens = static_cast<int64_t>(truncated);
  vector.values = *std::move(values);
  return vector;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ItemCache>> ItemCache::Open(const Options& options) {
  if (options.max_bytes < kMinBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a cache of ", options.max_bytes,
                                                   " bytes is too small; at least ", kMinBytes));
  }

  std::error_code error;
  fs::create_directories(options.dir, error);
  if (error)
    return absl::InternalError(
        absl::StrCat("embedding cache ", options.dir, ": ", error.message()));

  const rocksdb::Options database = DatabaseOptions(options.max_bytes);
  rocksdb::DB* db = nullptr;
  rocksdb::Status opened = rocksdb::DB::Open(database, options.dir, &db);
  if (IsDamage(opened)) {
    spdlog::error(
        "embedding cache {} is damaged ({}); it is renamed to {}.damaged and replaced by an empty "
        "one",
        options.dir, opened.ToString(), options.dir);
    if (!SetAside(options.dir, error)) {
      return absl::InternalError(
          absl::StrCat("embedding cache ", options.dir, " cannot be renamed: ", error.message()));
    }
    opened = rocksdb::DB::Open(database, options.dir, &db);
  }

  if (opened.IsIOError() && opened.ToString().find("lock") != std::string::npos) {
    return absl::FailedPreconditionError(
        absl::StrCat("embedding cache ", options.dir, " is in use by another process"));
  }
  if (!opened.ok())
    return absl::InternalError(
        absl::StrCat("embedding cache ", options.dir, ": ", opened.ToString()));
  return std::unique_ptr<ItemCache>(new ItemCache(options, std::unique_ptr<rocksdb::DB>(db)));
}

ItemCache::ItemCache(const Options& options, std::unique_ptr<rocksdb::DB> db)
    : options_(options), db_(std::move(db)) {}
ItemCache::~ItemCache() = default;

std::string ItemCache::Key(absl::string_view catalog, absl::string_view content,
                           absl::string_view space, absl::string_view fingerprint) {
  std::string key(1, kFormat);
  AppendBigEndian32(static_cast<uint32_t>(catalog.size()), key);
  absl::StrAppend(
      &key, catalog, content,
      Sha256(absl::StrCat(space, absl::string_view("\0", 1), fingerprint)).substr(0, 16));
  return key;
}

std::vector<std::optional<CachedVector>> ItemCache::Get(absl::Span<const std::string> keys) {
  const std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  std::vector<rocksdb::PinnableSlice> values(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  db_->MultiGet(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), slices.size(), slices.data(),
                values.data(), statuses.data());

  std::vector<std::optional<CachedVector>> found(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].ok()) found[i] = DecodeValue({values[i].data(), values[i].size()});
    if (!statuses[i].ok() && !statuses[i].IsNotFound())
      CountError("reading", statuses[i].ToString());
  }
  return found;
}

void ItemCache::Put(const std::vector<std::pair<std::string, CachedVector>>& entries) {
  rocksdb::WriteBatch batch;
  for (const auto& [key, vector] : entries) batch.Put(key, EncodeValue(vector));
  // Not synced: entries that a power failure loses are computed again.
  const rocksdb::Status written = db_->Write(rocksdb::WriteOptions(), &batch);
  if (!written.ok()) CountError("writing", written.ToString());
}

void ItemCache::CountError(const std::string& doing, const std::string& error) {
  // Logs the first error only, because a broken disk would fill the log.
  if (errors_.fetch_add(1, std::memory_order_relaxed) == 0) {
    spdlog::error(
        "embedding cache {}: {} failed: {}; it counts as a miss, and further errors are counted "
        "but not logged",
        options_.dir, doing, error);
  }
}

CacheStats ItemCache::stats() const {
  CacheStats stats;
  stats.max_bytes = options_.max_bytes;
  stats.errors = errors_.load(std::memory_order_relaxed);

  uint64_t value = 0;
  if (db_->GetIntProperty(rocksdb::DB::Properties::kEstimateNumKeys, &value))
    stats.vectors = static_cast<int64_t>(value);
  if (db_->GetIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &value))
    stats.bytes += static_cast<int64_t>(value);
  if (db_->GetIntProperty(rocksdb::DB::Properties::kSizeAllMemTables, &value))
    stats.bytes += static_cast<int64_t>(value);
  return stats;
}

}  // namespace palate::embedding
