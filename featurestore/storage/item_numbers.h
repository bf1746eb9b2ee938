// Gives every item id of a catalog a 32-bit number when the id is first seen, in an item or an
// event, and keeps it for ever: also when the item is deleted, and no other id gets it.
//
// Thread-safe. Numbers are 1 to 2^32 - 1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "featurestore/storage/database.h"

namespace palate::featurestore {

class ItemNumbers {
 public:
  explicit ItemNumbers(uint32_t catalog) : catalog_(catalog) {}

  // Reads where the numbers end. Called before any other method.
  absl::Status Load(const Database& database) ABSL_LOCKS_EXCLUDED(mutex_);

  // The number of each id, by element; ids without one get the next numbers. These are committed at
  // once, unsynced: whatever the caller commits after them is lost in a power failure before they
  // are. RESOURCE_EXHAUSTED when there are no numbers left.
  absl::StatusOr<std::vector<uint32_t>> Assign(Database& database,
                                               const std::vector<std::string>& ids)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // The number of each id, by element; 0 where it has none.
  absl::StatusOr<std::vector<uint32_t>> Find(const Database& database,
                                             const std::vector<std::string>& ids,
                                             const rocksdb::ReadOptions& read = {}) const;

 private:
  // Numbers those of `ids` whose element of `numbers` is 0.
  absl::Status AssignMissing(Database& database, const std::vector<std::string>& ids,
                             std::vector<uint32_t>& numbers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint32_t catalog_;
  Mutex mutex_;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace palate::featurestore
