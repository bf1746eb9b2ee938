// Takes from an item what is beyond the limits of the API, so that the rest of it is imported.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "offline/client.h"

namespace palate::offline {

// Bytes of the item in a request, pictures included; an upper bound.
size_t SizeOf(const ItemUpload& upload);

// Cuts texts and lists to their limits, at a character, and leaves out the last pictures beyond
// their number or beyond `max_bytes` of the item. InvalidField for each part that is not complete
// any more; texts are cut whatever the item's size. Pure; thread-safe.
std::vector<absl::Status> FitToLimits(size_t max_bytes, ItemUpload& upload);

}  // namespace palate::offline
