// One process owns a directory: an advisory file lock that the kernel drops with the process, and
// the owner's number inside the file.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace palate::featurestore {

// Movable; releases when destroyed. Not thread-safe.
class DirectoryLock {
 public:
  DirectoryLock() = default;
  ~DirectoryLock();
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&& other) noexcept;

  // The directory exists. FAILED_PRECONDITION naming the process that holds it; INTERNAL when the
  // lock file cannot be made.
  static absl::StatusOr<DirectoryLock> Acquire(const std::string& dir);
  void Release();

 private:
  explicit DirectoryLock(int file) : file_(file) {}
  int file_ = -1;
};

}  // namespace palate::featurestore
