// The format on disk: its version, and the migration from older ones. Private to featurestore/.
//
// Version 1: as version 2, without the column family `counters`; everything in it is derived from
// items, users, events and vectors.
#pragma once

#include "absl/status/status.h"
#include "featurestore/storage/database.h"

namespace palate::featurestore {

inline constexpr int kFormatVersion = 2;

// Brings the database to kFormatVersion: marks an empty one and migrates an older one. The version
// is written last, so that an interrupted migration begins again. FAILED_PRECONDITION when a
// newer version wrote the database; DATA_LOSS when its version is missing or damaged. Called while
// opening, before any catalog is read.
absl::Status MigrateToCurrentFormat(Database& database);

}  // namespace palate::featurestore
