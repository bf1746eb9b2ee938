#include "featurestore/storage/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace palate::featurestore {
namespace {

constexpr char kFileName[] = "LOCK-owner";

std::string ReadOwner(int file) {
  char text[128] = {};
  const ssize_t size = pread(file, text, sizeof(text) - 1, 0);
  // The lock may be held for a moment before its owner has written the name.
  if (size <= 0) return "another process";
  return std::string(absl::StripAsciiWhitespace(absl::string_view(text, size)));
}

}  // namespace

DirectoryLock::~DirectoryLock() { Release(); }

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept
    : file_(std::exchange(other.file_, -1)) {}

DirectoryLock& DirectoryLock::operator=(DirectoryLock&& other) noexcept {
  if (this != &other) {
    Release();
    file_ = std::exchange(other.file_, -1);
  }
  return *this;
}

absl::StatusOr<DirectoryLock> DirectoryLock::Acquire(const std::string& dir) {
  const std::string path = absl::StrCat(dir, "/", kFileName);
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0)
    return absl::InternalError(absl::StrCat(path, " cannot be opened: ", strerror(errno)));

  DirectoryLock lock(file);
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return absl::InternalError(absl::StrCat(path, " cannot be locked: ", strerror(errno)));
    return absl::FailedPreconditionError(absl::StrCat(dir, " is in use by ", ReadOwner(file)));
  }

  const std::string owner =
      absl::StrCat("process ", getpid(), " since ",
                   absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone()), "\n");
  if (ftruncate(file, 0) != 0 ||
      pwrite(file, owner.data(), owner.size(), 0) != static_cast<ssize_t>(owner.size())) {
    return absl::InternalError(absl::StrCat(path, " cannot be written: ", strerror(errno)));
  }
  return lock;
}

void DirectoryLock::Release() {
  if (file_ >= 0) close(file_);  // drops the lock
  file_ = -1;
}

}  // namespace palate::featurestore
