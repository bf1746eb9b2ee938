// Vectors gathered on disk and then written as one safetensors file.
//
//   vectors           F32 [n, dimensions]   of the first space; row i belongs to id i
//   and with several spaces, for each of them
//   vectors.<space>   F32 [m, dimensions]
//   rows.<space>      I64 [m]               the ids' places, since an id need not have a vector in
//   every space
//
// The metadata holds "ids" (a JSON list of strings), "spaces" (a JSON list of {"name",
// "fingerprint"}, first the one of `vectors`), and what the caller adds. The file appears whole or
// not at all.
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

// One thread. Memory holds the ids; vectors wait in temporary files beside the output, which go
// when the object does.
class VectorFile {
 public:
  // `spaces` is not empty. Unavailable when there is no writing in the output's folder.
  static absl::StatusOr<std::unique_ptr<VectorFile>> Create(const std::string& path,
                                                            std::vector<SpaceKey> spaces,
                                                            int dimensions);
  ~VectorFile();
  VectorFile(const VectorFile&) = delete;
  VectorFile& operator=(const VectorFile&) = delete;

  // FailedPrecondition when there is no vector of the first space: then nothing was added.
  absl::Status Add(const std::string& id, const std::vector<SpaceVector>& vectors);
  int64_t rows() const { return static_cast<int64_t>(ids_.size()); }

  // ResourceExhausted when the ids together exceed what a safetensors header may hold.
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
