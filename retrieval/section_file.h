// Files of sections with checksums: the container format of snapshots. Not thread-safe.
//
// Usage:
//   {
//     PALATE_ASSIGN_OR_RETURN(SectionWriter file, SectionWriter::Create(path, "PALATEXY", 1));
//     PALATE_RETURN_IF_ERROR(file.Write(/*kind=*/1, "payload"));
//     PALATE_RETURN_IF_ERROR(file.Commit());
//   }
//   PALATE_ASSIGN_OR_RETURN(SectionReader file, SectionReader::Open(path, "PALATEXY", 1));
//   PALATE_ASSIGN_OR_RETURN(const std::string payload, file.Read(/*kind=*/1));
//   PALATE_RETURN_IF_ERROR(file.End());
//
// Errors of the operating system have the code of absl::ErrnoToStatus.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::retrieval {

// Writes PATH.tmp. Commit() writes the end, syncs the file and renames it to PATH. Without Commit()
// the destructor removes PATH.tmp.
class SectionWriter {
 public:
  static absl::StatusOr<SectionWriter> Create(const std::string& path, absl::string_view magic,
                                              uint32_t format);
  SectionWriter(SectionWriter&& other) noexcept;
  SectionWriter& operator=(SectionWriter&&) = delete;
  ~SectionWriter();

  // `kind` is not 0.
  absl::Status Write(uint32_t kind, absl::string_view payload);
  absl::Status Commit();

 private:
  SectionWriter(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string temporary() const { return path_ + ".tmp"; }
  absl::Status WriteBytes(absl::string_view bytes);

  std::string path_;
  int fd_ = -1;
  uint64_t sections_ = 0;
};

class SectionReader {
 public:
  // Checks the magic number (8 bytes) and the format. NotFound for a missing file, DataLoss for a
  // damaged or foreign one, FailedPrecondition for a format above `format`.
  static absl::StatusOr<SectionReader> Open(const std::string& path, absl::string_view magic,
                                            uint32_t format);
  SectionReader(SectionReader&& other) noexcept;
  SectionReader& operator=(SectionReader&&) = delete;
  ~SectionReader();

  // The payload of the next section, which must be of this kind. DataLoss otherwise, and when a
  // checksum or a length is wrong.
  absl::StatusOr<std::string> Read(uint32_t kind);
  // DataLoss unless all sections of the file were read and nothing follows them.
  absl::Status End();

 private:
  SectionReader(int fd, uint64_t rest) : fd_(fd), rest_(rest) {}
  absl::Status ReadInto(char* out, uint64_t size);

  int fd_ = -1;
  uint64_t rest_ = 0;  // bytes not read yet
  uint64_t sections_ = 0;
};

}  // namespace palate::retrieval
