// Collects vectors on disk and then writes them as one safetensors file.
//
//   vectors           F32 [n, dimensions]   vectors of the first space; row i belongs to id i
//
// With several spaces, for each of them (an id need not have a vector in every space):
//
//   vectors.<space>   F32 [m, dimensions]
//   rows.<space>      I64 [m]               indexes of the ids
//
// The metadata holds "ids" (a JSON list of strings), "spaces" (a JSON list of {"name",
// "fingerprint"}, where the first is the space of `vectors`), and what the caller adds. The file
// appears as a whole or not at all.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const auto file, VectorFile::Create(path, {space}, 2));
//   PALATE_RETURN_IF_ERROR(file->Add("item-1", {{space, {0.6f, 0.8f}}}));
//   PALATE_RETURN_IF_ERROR(file->Finish({{"model", "example"}}));
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "domain/vector.h"

namespace palate::offline {

// Not thread-safe. Memory holds the ids; the vectors are in temporary files beside the output,
// which the destructor removes.
class VectorFile {
 public:
  // REQUIRES: `spaces` is not empty. Unavailable when the output's folder is not writable.
  static absl::StatusOr<std::unique_ptr<VectorFile>> Create(const std::string& path,
                                                            std::vector<SpaceKey> spaces,
                                                            int dimensions);
  ~VectorFile();
  VectorFile(const VectorFile&) = delete;
  VectorFile& operator=(const VectorFile&) = delete;

  // FailedPrecondition when there is no vector of the first space (nothing is added then),
  // Unavailable when a write fails.
  absl::Status Add(const std::string& id, const std::vector<SpaceVector>& vectors);
  int64_t rows() const { return static_cast<int64_t>(ids_.size()); }

  // Writes the file; call it once. ResourceExhausted when all ids together exceed the limit of a
  // safetensors header, Unavailable when a write fails.
  absl::Status Finish(std::map<std::string, std::string> metadata);

 private:
  struct Spool {
    SpaceKey space;
    std::string path;
    std::FILE* file = nullptr;
    std::vector<int64_t> rows;  // of the ids
  };

  VectorFile(std::string path, int dimensions) : path_(std::move(path)), dimensions_(dimensions) {}
  absl::Status Append(Spool& spool, const std::vector<float>& values);

  const std::string path_;
  const int dimensions_;
  std::vector<Spool> spools_;
  std::vector<std::string> ids_;
};

}  // namespace palate::offline
