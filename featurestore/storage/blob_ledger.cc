#include "featurestore/storage/blob_ledger.h"

#include "base/status.h"
#include "featurestore/storage/keys.h"

namespace palate::featurestore {

absl::Status BlobLedger::Load(const std::vector<std::string>& digests) {
  std::vector<std::string> keys;
  keys.reserve(digests.size());
  for (const std::string& digest : digests) keys.push_back(BlobRefKey(catalog_, digest));
  PALATE_ASSIGN_OR_RETURN(const auto records,
                          database_.MultiGetRecords<storage::BlobRefRecord>(kCounters, keys));
  for (size_t i = 0; i < digests.size(); ++i) {
    Entry& entry = entries_[digests[i]];
    if (!records[i].has_value()) continue;
    const storage::BlobRefRecord& record = *records[i];
    entry.before = entry.now = record.references();
    entry.image = {digests[i], record.media_type(), record.width(), record.height(),
                   record.size_bytes()};
  }
  return absl::OkStatus();
}

std::optional<ImageRef> BlobLedger::Find(const std::string& digest) const {
  const auto found = entries_.find(digest);
  if (found == entries_.end() || found->second.now == 0) return std::nullopt;
  return found->second.image;
}

void BlobLedger::Add(const ImageRef& image, absl::string_view bytes) {
  Entry& entry = entries_[image.sha256];
  ++entry.now;
  entry.image = image;
  if (!bytes.empty()) entry.bytes = bytes;
}

void BlobLedger::Remove(const std::string& digest) { --entries_[digest].now; }

void BlobLedger::Write(rocksdb::WriteBatch& batch) const {
  for (const auto& [digest, entry] : entries_) {
    if (entry.now == entry.before) continue;
    if (entry.now <= 0) {
      batch.Delete(database_.family(kCounters), BlobRefKey(catalog_, digest));
      batch.Delete(database_.family(kBlobs), BlobKey(catalog_, digest));
      continue;
    }
    storage::BlobRefRecord record;
    record.set_references(entry.now);
    record.set_media_type(entry.image.media_type);
    record.set_width(entry.image.width);
    record.set_height(entry.image.height);
    record.set_size_bytes(entry.image.size_bytes);
    PutRecord(batch, database_.family(kCounters), BlobRefKey(catalog_, digest), record);
    if (entry.before == 0)
      batch.Put(database_.family(kBlobs), BlobKey(catalog_, digest), ToSlice(entry.bytes));
  }
}

}  // namespace palate::featurestore
