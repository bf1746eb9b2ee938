#include "models/checkpoint/checkpoint.h"

#include <sys/stat.h>

#include <set>
#include <tuple>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/mutex.h"
#include "base/status.h"

namespace palate::models {
namespace {

constexpr absl::string_view kSingleFile = "model.safetensors";
constexpr size_t kDigestPieceBytes = 4u << 20;
constexpr absl::string_view kIndexFile = "model.safetensors.index.json";

// Reads an index file: shard file name by tensor name.
absl::StatusOr<std::map<std::string, std::string>> ReadIndex(const std::string& path) {
  PALATE_ASSIGN_OR_RETURN(const JsonConfig index, JsonConfig::Load(path));
  PALATE_ASSIGN_OR_RETURN(const JsonConfig weight_map, index.Object("weight_map"));
  std::map<std::string, std::string> shard_of;
  for (const auto& [name, file] : weight_map.json().items()) {
    if (!file.is_string())
      return absl::DataLossError(
          absl::StrCat(path, ": the shard of ", QuoteForMessage(name), " is not a string"));

    const std::string shard = file.get<std::string>();
    // A shard must lie in the same folder as its index: a path would let a downloaded folder read
    // files elsewhere.
    if (shard.empty() || absl::StrContains(shard, '/') || absl::StrContains(shard, '\0')) {
      return absl::DataLossError(absl::StrCat(path, ": the shard name ", QuoteForMessage(shard),
                                              " is not a plain file name"));
    }
    shard_of.emplace(name, shard);
  }

  if (shard_of.empty()) return absl::DataLossError(absl::StrCat(path, " lists no tensors"));
  return shard_of;
}

// The key under which a file's digest is cached.
using FileIdentity = std::tuple<std::string, int64_t, int64_t, int64_t, uint64_t>;

absl::StatusOr<FileIdentity> IdentityOf(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0)
    return absl::NotFoundError(absl::StrCat(path, " does not exist"));
  return FileIdentity(path, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ino);
}

class DigestCache {
 public:
  // Empty when unknown.
  std::string Find(const FileIdentity& identity) const {
    MutexLock lock(mutex_);
    const auto it = digests_.find(identity);
    return it == digests_.end() ? std::string() : it->second;
  }
  void Remember(const FileIdentity& identity, const std::string& digest) {
    MutexLock lock(mutex_);
    digests_[identity] = digest;
  }

 private:
  mutable Mutex mutex_;
  std::map<FileIdentity, std::string> digests_ ABSL_GUARDED_BY(mutex_);
};

DigestCache& Digests() {
  static auto* const cache = new DigestCache;
  return *cache;
}

}  // namespace

absl::StatusOr<std::string> FileDigest(const std::string& path) {
  PALATE_ASSIGN_OR_RETURN(const FileIdentity identity, IdentityOf(path));
  if (const std::string known = Digests().Find(identity); !known.empty()) return known;
  PALATE_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));

  Sha256Stream stream;

  // Hash in pieces and release each one at once, so that hashing a model does not keep the whole
  // file in memory in addition to its weights.
  for (absl::string_view rest = file->bytes(); !rest.empty();) {
    const absl::string_view piece = rest.substr(0, kDigestPieceBytes);
    stream.Add(piece);
    file->Release(piece);
    rest.remove_prefix(piece.size());
  }

  const std::string digest = absl::BytesToHexString(stream.Finish());
  Digests().Remember(identity, digest);
  return digest;
}

absl::StatusOr<Checkpoint> Checkpoint::Open(const std::string& folder) {
  PALATE_ASSIGN_OR_RETURN(JsonConfig config, JsonConfig::Load(InFolder(folder, "config.json")));
  Checkpoint result(folder, std::move(config));

  std::map<std::string, std::string> declared;  // only for a sharded checkpoint
  std::set<std::string> files;
  if (FileExists(InFolder(folder, kSingleFile))) {
    files.insert(std::string(kSingleFile));
  } else if (FileExists(InFolder(folder, kIndexFile))) {
    PALATE_ASSIGN_OR_RETURN(declared, ReadIndex(InFolder(folder, kIndexFile)));
    for (const auto& [name, shard] : declared) files.insert(shard);
  } else {
    return absl::NotFoundError(absl::StrCat(folder, " holds no weights: neither ", kSingleFile,
                                            " nor ", kIndexFile, " exists"));
  }

  for (const std::string& name : files) {
    absl::StatusOr<SafetensorsFile> shard = SafetensorsFile::Open(InFolder(folder, name));
    if (absl::IsNotFound(shard.status()))
      return absl::DataLossError(absl::StrCat("a shard is missing: ", shard.status().message()));
    if (!shard.ok()) return shard.status();

    for (const auto& [tensor, entry] : shard->tensors()) {
      if (!result.tensors_.emplace(tensor, entry).second) {
        return absl::DataLossError(
            absl::StrCat(folder, ": tensor ", QuoteForMessage(tensor), " is in two shards"));
      }
      result.shard_of_.emplace(tensor, result.shards_.size());
    }
    result.shards_.push_back(*std::move(shard));
  }

  for (const auto& [tensor, shard] : declared) {
    const auto it = result.shard_of_.find(tensor);
    if (it == result.shard_of_.end() ||
        result.shards_[it->second].file()->path() != InFolder(folder, shard)) {
      return absl::DataLossError(absl::StrCat(folder, ": the index places tensor ",
                                              QuoteForMessage(tensor), " in ", shard,
                                              ", which does not hold it"));
    }
  }
  return result;
}

std::shared_ptr<const MappedFile> Checkpoint::FileOf(const std::string& name) const {
  return shards_[shard_of_.at(name)].file();
}

void Checkpoint::ReleasePages() const {
  for (const SafetensorsFile& shard : shards_) shard.file()->Release(shard.file()->bytes());
}

absl::StatusOr<std::string> Checkpoint::WeightsDigest() const {
  if (shards_.size() == 1) return FileDigest(shards_[0].file()->path());

  std::string digests;
  for (const SafetensorsFile& shard : shards_) {
    PALATE_ASSIGN_OR_RETURN(const std::string digest, FileDigest(shard.file()->path()));
    absl::StrAppend(&digests, digest, "\n");
  }
  return absl::BytesToHexString(Sha256(digests));
}

}  // namespace palate::models
