// The error of one element of a batch; it does not affect the other elements. Services send it as
// palate.types.v1.ItemFailure.
//
// A plain value: copyable, no synchronization.
#pragma once

#include <cstddef>

#include "absl/status/status.h"

namespace palate {

struct ElementFailure {
  size_t index = 0;     // position in the batch
  absl::Status status;  // field paths are relative to the element: "images[0]"; the path is empty
                        // if the element is an id
};

}  // namespace palate
