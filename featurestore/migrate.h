// The format on disk: its version, and the migration from older ones. Private to featurestore/.
//
// Version 1: as version 2, without the column family `counters`; everything in it is derived from
// items, users, events and vectors.
// Version 2: as version 3, without item numbers (column family `numbers`, ItemRecord.number) and
// with a row for each seen item of a user instead of one set of numbers.
#pragma once

#include "absl/status/status.h"
#include "featurestore/storage/database.h"

namespace palate::featurestore {

inline constexpr int kFormatVersion = 3;

// Brings the database to kFormatVersion: marks an empty one and migrates an older one. Each
// step writes its version last and can run again, so that an interrupted migration continues.
// FAILED_PRECONDITION when a newer version wrote the database; DATA_LOSS when its version is
// missing or damaged. Called while opening, before any catalog is read.
absl::Status MigrateToCurrentFormat(Database& database);

}  // namespace palate::featurestore
