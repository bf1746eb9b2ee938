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
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace palate::models {
namespace {

// The format's own bound on the header.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kLengthBytes = 8;
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
  return *std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeRow& row) { return row.type == type; });
}

std::optional<TensorType> TypeByName(absl::string_view name) {
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

// The number of bytes of a tensor, or nothing when it exceeds 64 bits.
std::optional<uint64_t> ByteSize(TensorType type, const std::vector<int64_t>& shape) {
  uint64_t size = TensorTypeSize(type);
  for (int64_t extent : shape) {
    if (__builtin_mul_overflow(size, static_cast<uint64_t>(extent), &size)) return std::nullopt;
  }
  return size;
}

uint64_t ReadLength(absl::string_view bytes) {
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) length |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return length;
}

// Reads one header of a file; every problem becomes a DataLoss that names the file.
class HeaderParser {
 public:
  HeaderParser(const std::string& path, absl::string_view bytes) : path_(path), bytes_(bytes) {}

  absl::Status Parse(std::map<std::string, TensorEntry>& tensors, std::map<std::string, std::string>& metadata) {
    PALATE_RETURN_IF_ERROR(FindHeader());
    // allow_exceptions=false gives a discarded value instead of a throw.
    const nlohmann::json header = nlohmann::json::parse(header_.begin(), header_.end(), nullptr, /*allow_exceptions=*/false);
    if (header.is_discarded()) return Corrupt("its header is not valid JSON");
    if (!header.is_object()) return Corrupt("its header is not a JSON object");
    for (const auto& [name, value] : header.items()) {
      PALATE_RETURN_IF_ERROR(name == "__metadata__" ? ParseMetadata(value, metadata) : ParseTensor(name, value, tensors));
    }
    return CheckCoverage(tensors);
  }

 private:
  absl::Status Corrupt(absl::string_view problem) const {
    return absl::DataLossError(absl::StrCat(path_, " is not a valid safetensors file: ", problem));
  }
  absl::Status CorruptTensor(const std::string& name, absl::string_view problem) const {
    return Corrupt(absl::StrCat("tensor ", QuoteForMessage(name), " ", problem));
  }

  absl::Status FindHeader() {
    if (bytes_.size() < kLengthBytes) return Corrupt(absl::StrCat("it has only ", bytes_.size(), " bytes"));
    const uint64_t length = ReadLength(bytes_);
    if (length > kMaxHeaderBytes) return Corrupt(absl::StrCat("it declares a header of ", length, " bytes, at most ", kMaxHeaderBytes));
    if (length > bytes_.size() - kLengthBytes) {
      return Corrupt(absl::StrCat("it declares a header of ", length, " bytes, but has ", bytes_.size(), " in all"));
    }
    header_ = bytes_.substr(kLengthBytes, length);
    data_ = bytes_.substr(kLengthBytes + length);
    if (!IsValidUtf8(header_)) return Corrupt("its header is not UTF-8");
    return absl::OkStatus();
  }

  absl::Status ParseMetadata(const nlohmann::json& value, std::map<std::string, std::string>& metadata) const {
    if (!value.is_object()) return Corrupt("__metadata__ is not an object");
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) return Corrupt(absl::StrCat("__metadata__ entry ", QuoteForMessage(key), " is not a string"));
      metadata.emplace(key, text.get<std::string>());
    }
    return absl::OkStatus();
  }

  absl::Status ParseTensor(const std::string& name, const nlohmann::json& value, std::map<std::string, TensorEntry>& tensors) const {
    if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") || !value.contains("data_offsets")) {
      return CorruptTensor(name, "lacks dtype, shape or data_offsets");
    }
    const nlohmann::json& dtype = value["dtype"];
    if (!dtype.is_string()) return CorruptTensor(name, "has a dtype that is no string");
    const std::optional<TensorType> type = TypeByName(dtype.get_ref<const std::string&>());
    if (!type.has_value()) {
      return CorruptTensor(name, absl::StrCat("has the unsupported dtype ", QuoteForMessage(dtype.get_ref<const std::string&>())));
    }
    TensorEntry entry{.type = *type};
    for (const nlohmann::json& extent : value["shape"]) {
      if (!extent.is_number_unsigned() || extent.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        return CorruptTensor(name, "has a shape that is no list of sizes");
      }
      entry.shape.push_back(extent.get<int64_t>());
    }
    const std::optional<uint64_t> size = ByteSize(entry.type, entry.shape);
    if (!size.has_value()) return CorruptTensor(name, "has a shape whose size overflows");
    const nlohmann::json& offsets = value["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned()) {
      return CorruptTensor(name, "has data_offsets that are no pair of positions");
    }
    const uint64_t begin = offsets[0].get<uint64_t>();
    const uint64_t end = offsets[1].get<uint64_t>();
    if (begin > end || end > data_.size()) {
      return CorruptTensor(name, absl::StrCat("lies at [", begin, ", ", end, ") of ", data_.size(), " bytes of data"));
    }
    if (end - begin != *size) {
      return CorruptTensor(name, absl::StrCat("has ", end - begin, " bytes of data, but its shape needs ", *size));
    }
    entry.data = data_.substr(begin, end - begin);
    tensors.emplace(name, std::move(entry));
    return absl::OkStatus();
  }

  // The format demands that the tensors cover the data exactly: no overlap, no gap.
  absl::Status CheckCoverage(const std::map<std::string, TensorEntry>& tensors) const {
    std::vector<std::pair<absl::string_view, const std::string*>> ranges;
    ranges.reserve(tensors.size());
    for (const auto& [name, entry] : tensors) ranges.emplace_back(entry.data, &name);
    std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) {
      return std::make_pair(a.first.data(), a.first.size()) < std::make_pair(b.first.data(), b.first.size());
    });
    const char* covered = data_.data();
    for (const auto& [range, name] : ranges) {
      if (range.data() < covered) return CorruptTensor(*name, "overlaps another tensor");
      if (range.data() > covered) return CorruptTensor(*name, "follows a gap that belongs to no tensor");
      covered = range.data() + range.size();
    }
    const size_t rest = static_cast<size_t>(data_.data() + data_.size() - covered);
    if (rest != 0) return Corrupt(absl::StrCat("its last ", rest, " bytes belong to no tensor"));
    return absl::OkStatus();
  }

  const std::string& path_;
  const absl::string_view bytes_;
  absl::string_view header_;
  absl::string_view data_;
};

// Closes what it holds.
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

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == ENOENT) return absl::NotFoundError(absl::StrCat(path, " does not exist"));
    return IoError("open", path);
  }
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return IoError("stat", path);
  if (!S_ISREG(info.st_mode)) return absl::DataLossError(absl::StrCat(path, " is not a regular file"));
  const size_t size = static_cast<size_t>(info.st_size);
  // mmap refuses a length of 0.
  void* data = nullptr;
  if (size > 0) {
    data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (data == MAP_FAILED) return IoError("map", path);
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(path, static_cast<const char*>(data), size));
}

MappedFile::~MappedFile() {
  if (size_ > 0) ::munmap(const_cast<char*>(data_), size_);
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  SafetensorsFile result;
  PALATE_ASSIGN_OR_RETURN(result.file_, MappedFile::Open(path));
  PALATE_RETURN_IF_ERROR(HeaderParser(path, result.file_->bytes()).Parse(result.tensors_, result.metadata_));
  return result;
}

namespace {

// Wider types first, so that every tensor is aligned to its own element when the data itself is aligned.
std::vector<const std::pair<const std::string, TensorEntry>*> InFileOrder(const std::map<std::string, TensorEntry>& tensors) {
  std::vector<const std::pair<const std::string, TensorEntry>*> order;
  for (const auto& named : tensors) order.push_back(&named);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return TensorTypeSize(a->second.type) > TensorTypeSize(b->second.type); });
  return order;
}

absl::Status WriteAll(std::FILE* file, absl::string_view bytes, const std::string& path) {
  if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) return IoError("write", path);
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteSafetensors(const std::string& path, const std::map<std::string, TensorEntry>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  const auto order = InFileOrder(tensors);
  for (const auto* named : order) {
    const auto& [name, entry] = *named;
    if (ByteSize(entry.type, entry.shape) != entry.data.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", QuoteForMessage(name), " has ", entry.data.size(), " bytes of data, which do not fit its shape"));
    }
    header[name] = {
        {"dtype", std::string(TensorTypeName(entry.type))}, {"shape", entry.shape}, {"data_offsets", {offset, offset + entry.data.size()}}};
    offset += entry.data.size();
  }
  std::string text = header.dump();
  // Trailing spaces are part of the format: they align the data.
  text.append((kDataAlignment - (kLengthBytes + text.size()) % kDataAlignment) % kDataAlignment, ' ');
  std::string length;
  for (size_t i = 0; i < kLengthBytes; ++i) length.push_back(static_cast<char>(text.size() >> (8 * i)));

  const std::string temporary = absl::StrCat(path, ".tmp.", ::getpid());
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (file == nullptr) return IoError("create", temporary);
  absl::Status status = WriteAll(file, length, temporary);
  status.Update(WriteAll(file, text, temporary));
  for (const auto* named : order) status.Update(WriteAll(file, named->second.data, temporary));
  if (status.ok() && (std::fflush(file) != 0 || ::fsync(::fileno(file)) != 0)) status = IoError("flush", temporary);
  if (std::fclose(file) != 0 && status.ok()) status = IoError("close", temporary);
  if (status.ok() && std::rename(temporary.c_str(), path.c_str()) != 0) status = IoError("rename to", path);
  if (!status.ok()) std::remove(temporary.c_str());
  return status;
}

}  // namespace palate::models
