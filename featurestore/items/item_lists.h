// The lists of a catalog's items that need no user: the fresh ones and the trending ones.
//
// Thread-safe. Hidden and deleted items are in neither list.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "domain/item.h"
#include "featurestore/storage/catalog_state.h"
#include "featurestore/storage/storage.h"

namespace palate::featurestore {

// At most `count` items created up to `request_time` and not expired then, newest first; the score
// is the create_time in Unix seconds. As of the snapshot in `read`, which was taken after
// state.expired_fresh().Begin() had returned `begun`: rows that have expired are walked over once.
absl::StatusOr<std::vector<ScoredItem>> ReadFreshItems(Storage& storage, CatalogState& state,
                                                       int count, absl::Time request_time,
                                                       int64_t begun,
                                                       const rocksdb::ReadOptions& read);

// At most `count` items that are expired neither now nor at `request_time`, best first, by all
// events up to now: see storage/trending.h. UNAVAILABLE when too many half-lives are asked for at
// once.
absl::StatusOr<std::vector<ScoredItem>> ReadTrendingItems(Storage& storage, CatalogState& state,
                                                          int count, absl::Duration half_life,
                                                          absl::Time request_time);

}  // namespace palate::featurestore
