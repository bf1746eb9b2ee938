// Reads and writes safetensors files, without LibTorch.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Open(path));
//   for (const auto& [name, entry] : file.tensors()) total_bytes += entry.data.size();
//
// Format: an 8-byte little-endian header length, a JSON header {"name": {"dtype", "shape",
// "data_offsets": [begin, end]}, "__metadata__": {…}} and the data; offsets are relative to the
// start of the data. https://github.com/huggingface/safetensors
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::models {

enum class TensorType { kF32, kF16, kBf16, kF64, kI64, kI32, kI16, kI8, kU8, kBool };

// Bytes of one element.
size_t TensorTypeSize(TensorType type);
// The name in the file: "F32", "BF16", …
absl::string_view TensorTypeName(TensorType type);
std::optional<TensorType> TensorTypeByName(absl::string_view name);

// A whole file mapped read-only. Thread-safe; unmapped by the destructor. The file must not shrink
// while it is mapped.
class MappedFile {
 public:
  // NotFound when there is no such file; DataLoss when it cannot be read.
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  absl::string_view bytes() const { return absl::string_view(data_, size_); }
  const std::string& path() const { return path_; }
  // Releases the memory behind the whole pages of `range`, a part of bytes(). A later access reads
  // them from the file again, also in other threads.
  void Release(absl::string_view range) const;

 private:
  MappedFile(std::string path, const char* data, size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}

  const std::string path_;
  const char* const data_;
  const size_t size_;
};

// One tensor of a mapped file. `data` points into the mapping and need not be aligned to the
// element size.
struct TensorEntry {
  TensorType type = TensorType::kF32;
  std::vector<int64_t> shape = {};  // empty for a scalar
  absl::string_view data = {};      // row-major, little-endian
};

// The checked contents of one file. Thread-safe; owns a share of the mapping.
class SafetensorsFile {
 public:
  // NotFound when there is no such file; DataLoss naming the file and the problem (see
  // ParseSafetensorsHeader).
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  const std::map<std::string, TensorEntry>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::shared_ptr<const MappedFile>& file() const { return file_; }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, TensorEntry> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Writes `tensors` to `path` through a temporary file and a rename, so that a reader sees either
// the old or the new file. The bytes depend on the arguments only: names are sorted, and wider
// types come first so that every tensor is aligned.
absl::Status WriteSafetensors(const std::string& path,
                              const std::map<std::string, TensorEntry>& tensors,
                              const std::map<std::string, std::string>& metadata = {
                                  {"format", "pt"}});

}  // namespace palate::models
