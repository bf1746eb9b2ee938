// Converts RocksDB's statuses to absl::Status.
#pragma once

#include <rocksdb/status.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace palate::featurestore {

// Corruption is DATA_LOSS; a full disk is RESOURCE_EXHAUSTED; closing is UNAVAILABLE; other
// failures of the disk are INTERNAL. The message starts with `doing`. Messages of RocksDB name
// files, never keys or values.
absl::Status FromRocksDb(const rocksdb::Status& status, absl::string_view doing);

}  // namespace palate::featurestore
