// Files of checked sections, the envelope of snapshots. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::retrieval {

// Writes PATH.tmp; Commit() ends, syncs and renames it to PATH. Without Commit() the destructor
// removes it.
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
  // Checks the magic number (8 bytes) and the format. NotFound, DataLoss, FailedPrecondition for a
  // format above `format`.
  static absl::StatusOr<SectionReader> Open(const std::string& path, absl::string_view magic,
                                            uint32_t format);
  SectionReader(SectionReader&& other) noexcept;
  SectionReader& operator=(SectionReader&&) = delete;
  ~SectionReader();

  // The payload of the next section, which must be of this kind. DataLoss otherwise, and when a
  // checksum or a length is wrong.
  absl::StatusOr<std::string> Read(uint32_t kind);
  // DataLoss unless the sections written were all read and nothing follows.
  absl::Status End();

 private:
  SectionReader(int fd, uint64_t rest) : fd_(fd), rest_(rest) {}
  absl::Status ReadInto(char* out, uint64_t size);

  int fd_ = -1;
  uint64_t rest_ = 0;  // bytes not read yet
  uint64_t sections_ = 0;
};

}  // namespace palate::retrieval
