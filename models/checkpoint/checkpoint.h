// A model folder in the Hugging Face layout: config.json and safetensors weights, in one file or in
// shards with an index.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(folder));
//   PALATE_ASSIGN_OR_RETURN(const std::string type, checkpoint.config().String("model_type"));
//   const TensorEntry& embedding = checkpoint.tensors().at("model.embed_tokens.weight");
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/checkpoint/json_config.h"
#include "models/checkpoint/safetensors.h"

namespace palate::models {

// The weights and the config of one folder. Immutable and thread-safe after Open(); cheap to copy
// (copies share the mappings).
class Checkpoint {
 public:
  // NotFound when the folder has no config.json or no weights; DataLoss naming the file when a
  // weight file is corrupt, a shard is missing, or index and shards disagree.
  static absl::StatusOr<Checkpoint> Open(const std::string& folder);

  const std::string& folder() const { return folder_; }
  const JsonConfig& config() const { return config_; }
  const std::map<std::string, TensorEntry>& tensors() const { return tensors_; }
  // The mapping that holds `name`'s data; keep it for as long as you keep a pointer into the data.
  // REQUIRES: `name` exists.
  std::shared_ptr<const MappedFile> FileOf(const std::string& name) const;

  // Releases the memory behind all weights; a later access reads them from the files again.
  void ReleasePages() const;

  // Hex SHA-256 of the weight file's content, or of the digests of all shards in name order. See
  // FileDigest for its cost.
  absl::StatusOr<std::string> WeightsDigest() const;

 private:
  Checkpoint(std::string folder, JsonConfig config)
      : folder_(std::move(folder)), config_(std::move(config)) {}

  std::string folder_;
  JsonConfig config_;
  std::vector<SafetensorsFile> shards_;
  std::map<std::string, TensorEntry> tensors_;
  std::map<std::string, size_t> shard_of_;
};

// Hex SHA-256 of a file's content. The first call reads the file (a second or two for 1 GB); the
// result is cached for the process by path, inode, size and modification time. Thread-safe.
absl::StatusOr<std::string> FileDigest(const std::string& path);

}  // namespace palate::models
