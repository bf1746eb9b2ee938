#include "models/checkpoint/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "models/checkpoint/pointer_file.h"
#include "models/checkpoint/safetensors_header.h"
#include "nlohmann/json.hpp"

namespace palate::models {
namespace {

constexpr size_t kDataAlignment = 8;

struct TypeRow {
  TensorType type;
  absl::string_view name;
  size_t size;
};
constexpr std::array<TypeRow, 10> kTypes = {{{TensorType::kF32, "F32", 4},
                                             {TensorType::kF16, "F16", 2},
                                             {TensorType::kBf16, "BF16", 2},
                                             {TensorType::kF64, "F64", 8},
                                             {TensorType::kI64, "I64", 8},
                                             {TensorType::kI32, "I32", 4},
                                             {TensorType::kI16, "I16", 2},
                                             {TensorType::kI8, "I8", 1},
                                             {TensorType::kU8, "U8", 1},
                                             {TensorType::kBool, "BOOL", 1}}};

const TypeRow& RowOf(TensorType type) {
  return *std::find_if(kTypes.begin(), kTypes.end(),
                       [&](const TypeRow& row) { return row.type == type; });
}

// Closes its file descriptor.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

absl::Status IoError(absl::string_view what, const std::string& path) {
  return absl::DataLossError(absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(errno)));
}

}  // namespace

size_t TensorTypeSize(TensorType type) { return RowOf(type).size; }
absl::string_view TensorTypeName(TensorType type) { return RowOf(type).name; }
std::optional<TensorType> TensorTypeByName(absl::string_view name) {
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == ENOENT) return absl::NotFoundError(absl::StrCat(path, " does not exist"));
    return IoError("open", path);
  }

  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return IoError("stat", path);
  if (!S_ISREG(info.st_mode))
    return absl::DataLossError(absl::StrCat(path, " is not a regular file"));

  const size_t size = static_cast<size_t>(info.st_size);
  // mmap rejects a length of 0.
  void* data = nullptr;
  if (size > 0) {
    data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (data == MAP_FAILED) return IoError("map", path);
  }

  return std::shared_ptr<const MappedFile>(
      new MappedFile(path, static_cast<const char*>(data), size));
}

void MappedFile::Release(absl::string_view range) const {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(range.data()) + page - 1) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(range.data() + range.size()) / page * page;
  // Only advice: if the kernel refuses, the pages stay in memory.
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (size_ > 0) ::munmap(const_cast<char*>(data_), size_);
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  SafetensorsFile result;
  PALATE_ASSIGN_OR_RETURN(result.file_, MappedFile::Open(path));
  PALATE_RETURN_IF_ERROR(RefusePointerFile(path, result.file_->bytes()));

  const absl::Status status =
      ParseSafetensorsHeader(result.file_->bytes(), result.tensors_, result.metadata_);
  if (!status.ok()) return Annotate(status, path, " is not a valid safetensors file");
  return result;
}

namespace {

// Wider types first, so that every tensor is aligned to its element size.
std::vector<const std::pair<const std::string, TensorEntry>*> InFileOrder(
    const std::map<std::string, TensorEntry>& tensors) {
  std::vector<const std::pair<const std::string, TensorEntry>*> order;
  for (const auto& named : tensors) order.push_back(&named);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return TensorTypeSize(a->second.type) > TensorTypeSize(b->second.type);
  });
  return order;
}

// No overflow check: these shapes are those of tensors in memory.
size_t ByteSize(const TensorEntry& entry) {
  size_t size = TensorTypeSize(entry.type);
  for (const int64_t extent : entry.shape) size *= static_cast<size_t>(extent);
  return size;
}

absl::Status WriteAll(std::FILE* file, absl::string_view bytes, const std::string& path) {
  if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size())
    return IoError("write", path);
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteSafetensors(const std::string& path,
                              const std::map<std::string, TensorEntry>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;

  uint64_t offset = 0;
  const auto order = InFileOrder(tensors);
  for (const auto* named : order) {
    const auto& [name, entry] = *named;
    if (ByteSize(entry) != entry.data.size()) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", QuoteForMessage(name), " has ",
                                                     entry.data.size(),
                                                     " bytes of data, which do not fit its shape"));
    }
    header[name] = {{"dtype", std::string(TensorTypeName(entry.type))},
                    {"shape", entry.shape},
                    {"data_offsets", {offset, offset + entry.data.size()}}};
    offset += entry.data.size();
  }

  std::string text = header.dump();
  // The format pads the header with spaces to align the data.
  text.append(
      (kDataAlignment - (kSafetensorsLengthBytes + text.size()) % kDataAlignment) % kDataAlignment,
      ' ');

  std::string length;
  for (size_t i = 0; i < kSafetensorsLengthBytes; ++i)
    length.push_back(static_cast<char>(text.size() >> (8 * i)));

  const std::string temporary = absl::StrCat(path, ".tmp.", ::getpid());
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (file == nullptr) return IoError("create", temporary);
  absl::Status status = WriteAll(file, length, temporary);
  status.Update(WriteAll(file, text, temporary));
  for (const auto* named : order) status.Update(WriteAll(file, named->second.data, temporary));
  if (status.ok() && (std::fflush(file) != 0 || ::fsync(::fileno(file)) != 0))
    status = IoError("flush", temporary);
  if (std::fclose(file) != 0 && status.ok()) status = IoError("close", temporary);

  if (status.ok() && std::rename(temporary.c_str(), path.c_str()) != 0)
    status = IoError("rename to", path);

  if (!status.ok()) std::remove(temporary.c_str());
  return status;
}

}  // namespace palate::models
