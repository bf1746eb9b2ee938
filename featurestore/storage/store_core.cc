#include "featurestore/storage/store_core.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "featurestore/storage/rocksdb_status.h"

namespace palate::featurestore {

absl::string_view FamilyName(Family family) {
  constexpr absl::string_view kNames[kNumFamilies] = {
      "meta",  "catalogs", "items",   "users",       "events",     "vectors",
      "blobs", "counters", "changes", "impressions", "idempotence"};
  return kNames[family];
}

std::vector<ActiveSpace> CatalogState::ActiveSpaces() const {
  std::vector<ActiveSpace> active;
  for (const auto& [name, record] : Spaces())
    active.push_back({name, record.active_fingerprint(), record.target_fingerprint()});
  return active;
}

void CatalogState::SawEventAt(int64_t time_us) {
  int64_t newest = newest_event_us.load();
  while (time_us > newest && !newest_event_us.compare_exchange_weak(newest, time_us)) {
  }
}

StoreCore::StoreCore(StoreOptions store_options)
    : options(std::move(store_options)), item_cache(options.item_cache_bytes) {}

StoreCore::~StoreCore() { (void)Close(); }

absl::Status StoreCore::Close() {
  closing_ = true;
  feed.Close();
  ExclusiveHold hold(close_lock_);
  if (db_ == nullptr) return absl::OkStatus();
  const rocksdb::Status synced =
      options.durability == Durability::kSync ? db_->SyncWAL() : rocksdb::Status::OK();
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

absl::StatusOr<SharedHold> StoreCore::Enter() {
  if (closing_) return absl::UnavailableError("the feature store is closed");
  SharedHold hold(close_lock_);
  if (closing_) return absl::UnavailableError("the feature store is closed");
  return hold;
}

absl::StatusOr<StoreCore::ReadAccess> StoreCore::BeginRead(absl::string_view catalog) {
  PALATE_ASSIGN_OR_RETURN(SharedHold open, Enter());
  MutexLock lock(catalogs_mutex_);
  const auto found = catalogs_.find(catalog);
  if (found == catalogs_.end())
    return absl::NotFoundError(absl::StrCat("catalog ", QuoteForMessage(catalog), " is not known"));
  return ReadAccess{std::move(open), found->second};
}

absl::StatusOr<StoreCore::WriteAccess> StoreCore::BeginWrite(absl::string_view catalog) {
  PALATE_ASSIGN_OR_RETURN(ReadAccess read, BeginRead(catalog));
  SharedHold alive(read.state->lifecycle);
  if (read.state->deleted)
    return absl::NotFoundError(
        absl::StrCat("catalog ", QuoteForMessage(catalog), " has been deleted"));
  std::shared_ptr<const Catalog> declarations = read.state->Declarations();
  return WriteAccess{std::move(read.open), std::move(read.state), std::move(alive),
                     std::move(declarations)};
}

absl::StatusOr<StoreCore::ReadAccess> StoreCore::BeginReadFeed(absl::string_view catalog) {
  if (!catalog.empty()) return BeginRead(catalog);
  PALATE_ASSIGN_OR_RETURN(SharedHold open, Enter());
  return ReadAccess{std::move(open), catalog_feed};
}

std::vector<std::shared_ptr<CatalogState>> StoreCore::AllCatalogs() const {
  MutexLock lock(catalogs_mutex_);
  std::vector<std::shared_ptr<CatalogState>> all;
  for (const auto& [id, state] : catalogs_) all.push_back(state);
  return all;
}

void StoreCore::AddCatalog(std::shared_ptr<CatalogState> state) {
  MutexLock lock(catalogs_mutex_);
  catalogs_[state->id] = std::move(state);
}

void StoreCore::RemoveCatalog(const std::string& id) {
  MutexLock lock(catalogs_mutex_);
  catalogs_.erase(id);
}

std::string StoreCore::state_dir() const { return absl::StrCat(options.dir, "/state"); }

absl::Status StoreCore::Write(rocksdb::WriteBatch& batch) {
  rocksdb::WriteOptions write;
  write.sync = options.durability == Durability::kSync;
  return FromRocksDb(db_->Write(write, &batch), "writing to the store");
}

absl::StatusOr<std::optional<std::string>> StoreCore::Get(Family family, absl::string_view key,
                                                          const rocksdb::ReadOptions& read) const {
  std::string value;
  const rocksdb::Status status = db_->Get(read, handles_[family], ToSlice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  PALATE_RETURN_IF_ERROR(FromRocksDb(status, absl::StrCat("reading from ", FamilyName(family))));
  return std::optional<std::string>(std::move(value));
}

absl::StatusOr<std::vector<std::optional<rocksdb::PinnableSlice>>> StoreCore::MultiGet(
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

absl::Status StoreCore::ScanPrefix(Family family, absl::string_view prefix, absl::string_view from,
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

std::string StoreCore::CacheKey(const CatalogState& state, int64_t switches,
                                absl::string_view item_id) {
  std::string key;
  AppendBigEndian32(state.number, key);
  AppendBigEndian64(static_cast<uint64_t>(switches), key);
  key.append(item_id.data(), item_id.size());
  return key;
}

void StoreCore::AddChange(rocksdb::WriteBatch& batch, uint32_t catalog, int64_t position,
                          ChangeKind kind, absl::string_view key, int64_t revision) {
  storage::ChangeRecord record;
  record.set_kind(ToRecord(kind));
  record.set_key(std::string(key));
  record.set_revision(revision);
  record.set_time_us(ToMicros(Now()));
  PutRecord(batch, handles_[kChanges], ChangeKey(catalog, position), record);
}

std::string EncodeCount(int64_t value) {
  std::string bytes;
  AppendBigEndian64(static_cast<uint64_t>(value), bytes);
  return bytes;
}

absl::StatusOr<int64_t> DecodeCount(absl::string_view bytes) {
  uint64_t value = 0;
  if (!ConsumeBigEndian64(bytes, value) || !bytes.empty())
    return absl::DataLossError("a stored counter is damaged");
  return static_cast<int64_t>(value);
}

std::string EncodePageToken(absl::string_view last_id) {
  storage::PageToken token;
  token.set_last_id(std::string(last_id));
  return absl::WebSafeBase64Escape(token.SerializeAsString());
}

absl::StatusOr<std::string> DecodePageToken(absl::string_view token) {
  std::string bytes;
  storage::PageToken parsed;
  if (token.empty()) return std::string();
  if (!absl::WebSafeBase64Unescape(token, &bytes) || !parsed.ParseFromString(bytes) ||
      parsed.last_id().empty()) {
    return InvalidField("page_token", absl::StrCat("is ", QuoteForMessage(token)),
                        "a token from the page before");
  }
  return parsed.last_id();
}

absl::StatusOr<int> CheckPageSize(int page_size, const StoreLimits& limits) {
  if (page_size < 0 || page_size > limits.max_page) {
    return InvalidField("page_size", absl::StrCat("is ", page_size),
                        absl::StrCat("from 0 to ", limits.max_page));
  }
  return page_size == 0 ? limits.max_page : page_size;
}

}  // namespace palate::featurestore
