// Why one element of a batch failed; the other elements were not affected. Services send it as
// palate.types.v1.ItemFailure.
//
// A plain value: copyable, no synchronization.
#pragma once

#include <cstddef>

#include "absl/status/status.h"

namespace palate {

struct ElementFailure {
  size_t index = 0;     // position in the batch
  absl::Status status;  // field paths are relative to the element: "images[0]"; empty for an
                        // element that is an id
};

}  // namespace palate
