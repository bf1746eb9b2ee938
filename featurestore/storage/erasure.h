// Erasing deleted rows from the files.
//
// RocksDB keeps deleted keys in logs, in tables until they are compacted, and in manifests as
// bounds of table files. So: flush (logs go), wait for readers of older snapshots, compact the
// range down to the last level, and write a new manifest (database.cc sets the size limit that
// makes every change do so).
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "featurestore/storage/database.h"

namespace palate::featurestore {

// Rewrites files until none holds a row of `families` with one of `prefixes` (empty: any row) that
// was deleted before the call. `pending_key`, a row of kMeta that says that this work is due, is
// removed on the way. UNAVAILABLE when readers keep old files in use for a minute: call again.
// Thread-safe; takes seconds on a large store.
absl::Status EraseDeletedRows(Database& database, absl::Span<const Family> families,
                              const std::vector<std::string>& prefixes,
                              absl::string_view pending_key);

}  // namespace palate::featurestore
