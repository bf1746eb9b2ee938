// One element of UpsertItems: its checks, and its application to the batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "domain/catalog.h"
#include "domain/item.h"
#include "featurestore/items/item_batch.h"
#include "featurestore/options.h"
#include "featurestore/types.h"

namespace palate::featurestore {

// An element after the checks that need no stored state.
struct PreparedItemWrite {
  absl::Status status;
  // The pictures that can be stored, in order; of one named by digest only sha256 is set.
  std::vector<ImageRef> images;
  std::vector<size_t> positions;  // of `images` in ItemWrite::images
  // INVALID_ARGUMENT for each of the others, at "images[1]".
  std::vector<absl::Status> refused_images;
};
PreparedItemWrite PrepareItemWrite(const ItemWrite& write, const Catalog& catalog,
                                   const StoreLimits& limits);

// Where the revision of an element comes from.
struct ItemWriteOutcome {
  absl::Status status;
  std::optional<size_t> change;  // in the batch
  int64_t revision = 0;          // when unchanged
};
// Applies an element that was prepared without an error. `last_change`: by item id, the batch's
// last change so far; updated. A new item without a create_time gets `now`.
ItemWriteOutcome ApplyItemWrite(const ItemWrite& write, PreparedItemWrite& prepared,
                                ItemBatch& batch, std::map<std::string, size_t>& last_change,
                                absl::Time now);

}  // namespace palate::featurestore
