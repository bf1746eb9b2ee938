// From older formats on disk to the present one. Private to featurestore/.
//
// Version 1: as version 2, without the column family `counters`; everything in it is derived from
// items, users, events and vectors.
#pragma once

#include "absl/status/status.h"
#include "featurestore/storage/store_core.h"

namespace palate::featurestore {

// Brings a store of `version` (older than kFormatVersion) to kFormatVersion. The version is written
// last, so that a migration that was cut short begins anew.
absl::Status Migrate(StoreCore& core, int version);

}  // namespace palate::featurestore
