// Makes one process the owner of a directory, with an advisory file lock that the kernel releases
// when the process ends. The file holds the owner's process id.
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
