#include "retrieval/section_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "retrieval/byte_codec.h"

namespace palate::retrieval {
namespace {

constexpr uint32_t kEndKind = 0;
constexpr size_t kMagicBytes = 8;
constexpr uint64_t kHeaderBytes =
    4 + 8 + 4 + 4;  // kind, length, CRC of the payload, CRC of these three

absl::Status SystemError(absl::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(what, " ", path));
}

absl::Status CutShort(uint64_t expected, uint64_t left) {
  return absl::DataLossError(
      absl::StrCat("truncated: ", expected, " more bytes expected, ", left, " left"));
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Makes the rename itself durable.
absl::Status SyncFolder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError("opening", folder);
  const bool synced = fsync(fd) == 0;
  const absl::Status status = synced ? absl::OkStatus() : SystemError("syncing", folder);
  close(fd);
  return status;
}

}  // namespace

absl::StatusOr<SectionWriter> SectionWriter::Create(const std::string& path,
                                                    absl::string_view magic, uint32_t format) {
  const std::string temporary = path + ".tmp";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return SystemError("creating", temporary);

  SectionWriter writer(path, fd);
  ByteWriter head;
  head.Number(format);
  PALATE_RETURN_IF_ERROR(writer.WriteBytes(magic));
  PALATE_RETURN_IF_ERROR(writer.WriteBytes(head.bytes()));
  return writer;
}

SectionWriter::SectionWriter(SectionWriter&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      sections_(other.sections_) {}

SectionWriter::~SectionWriter() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary().c_str());
}

absl::Status SectionWriter::WriteBytes(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError("writing", temporary());
    bytes.remove_prefix(written);
  }
  return absl::OkStatus();
}

absl::Status SectionWriter::Write(uint32_t kind, absl::string_view payload) {
  ByteWriter header;
  header.Number(kind);
  header.Number<uint64_t>(payload.size());
  header.Number(Crc32c(payload));
  header.Number(Crc32c(header.bytes()));

  PALATE_RETURN_IF_ERROR(WriteBytes(header.bytes()));
  ++sections_;
  return WriteBytes(payload);
}

absl::Status SectionWriter::Commit() {
  ByteWriter end;
  end.Number(sections_);
  PALATE_RETURN_IF_ERROR(Write(kEndKind, end.bytes()));
  if (fsync(fd_) != 0) return SystemError("syncing", temporary());
  if (rename(temporary().c_str(), path_.c_str()) != 0) return SystemError("renaming", temporary());
  close(std::exchange(fd_, -1));
  return SyncFolder(FolderOf(path_));
}

absl::StatusOr<SectionReader> SectionReader::Open(const std::string& path, absl::string_view magic,
                                                  uint32_t format) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError("opening", path);

  struct stat info;
  if (fstat(fd, &info) != 0) {
    const absl::Status status = SystemError("reading the size of", path);
    close(fd);
    return status;
  }

  SectionReader reader(fd, static_cast<uint64_t>(info.st_size));
  std::array<char, kMagicBytes + sizeof(uint32_t)> head{};
  PALATE_RETURN_IF_ERROR(reader.ReadInto(head.data(), head.size()));
  const absl::string_view bytes(head.data(), head.size());

  if (bytes.substr(0, kMagicBytes) != magic)
    return absl::DataLossError("not a file of this kind: its magic number differs");
  const uint32_t found = ByteReader(bytes.substr(kMagicBytes)).Number<uint32_t>();
  if (found > format) {
    return absl::FailedPreconditionError(
        absl::StrCat("format ", found, " is newer than this program's format ", format));
  }
  if (found != format) return absl::DataLossError(absl::StrCat("unknown format ", found));
  return reader;
}

SectionReader::SectionReader(SectionReader&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), rest_(other.rest_), sections_(other.sections_) {}

SectionReader::~SectionReader() {
  if (fd_ >= 0) close(fd_);
}

absl::Status SectionReader::ReadInto(char* out, uint64_t size) {
  if (size > rest_) return CutShort(size, rest_);
  size_t filled = 0;
  while (filled < size) {
    const ssize_t taken = read(fd_, out + filled, size - filled);
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0) return absl::ErrnoToStatus(errno, "reading");
    if (taken == 0) return absl::DataLossError("truncated while it was read");
    filled += taken;
  }
  rest_ -= size;
  return absl::OkStatus();
}

absl::StatusOr<std::string> SectionReader::Read(uint32_t kind) {
  std::array<char, kHeaderBytes> header{};
  PALATE_RETURN_IF_ERROR(ReadInto(header.data(), header.size()));
  const absl::string_view header_view(header.data(), header.size());
  ByteReader numbers(header_view);
  const uint32_t found_kind = numbers.Number<uint32_t>();
  const uint64_t length = numbers.Number<uint64_t>();
  const uint32_t payload_crc = numbers.Number<uint32_t>();
  const uint32_t header_crc = numbers.Number<uint32_t>();

  if (Crc32c(header_view.substr(0, kHeaderBytes - sizeof(uint32_t))) != header_crc)
    return absl::DataLossError(absl::StrCat("section ", sections_, ": wrong header checksum"));
  if (found_kind != kind) {
    return absl::DataLossError(
        absl::StrCat("section ", sections_, " is of kind ", found_kind, " instead of ", kind));
  }
  if (length > rest_) return CutShort(length, rest_);  // before memory is allocated

  std::string payload(length, '\0');
  PALATE_RETURN_IF_ERROR(ReadInto(payload.data(), payload.size()));
  if (Crc32c(payload) != payload_crc)
    return absl::DataLossError(absl::StrCat("section ", sections_, ": wrong checksum"));
  ++sections_;
  return payload;
}

absl::Status SectionReader::End() {
  const uint64_t read_sections = sections_;
  PALATE_ASSIGN_OR_RETURN(const std::string end, Read(kEndKind));
  ByteReader numbers(end);
  if (numbers.Number<uint64_t>() != read_sections || !numbers.done())
    return absl::DataLossError("sections are missing");
  if (rest_ != 0) return absl::DataLossError(absl::StrCat(rest_, " bytes follow the end"));
  return absl::OkStatus();
}

}  // namespace palate::retrieval
