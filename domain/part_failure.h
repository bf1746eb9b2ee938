// One part of an item that has no share in the item's vectors, and why: a picture that is none, a
// text of which only the beginning is read. The item's other parts are not affected. Services send
// it as palate.types.v1.PartFailure.
//
// A plain value: copyable, no synchronization.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace palate {

struct PartFailure {
  // "images[1]": the second picture that was sent; "title", "description", "attributes"; "fused":
  // the vector over all parts together. Empty: the item as a whole.
  std::string part;
  absl::Status status;
  bool operator==(const PartFailure&) const = default;
};

// "images[1] is neither JPEG, PNG nor WebP": a sentence for people that names the part.
inline std::string Describe(const PartFailure& failure) {
  if (absl::StartsWith(failure.status.message(), failure.part))
    return std::string(failure.status.message());
  return absl::StrCat(failure.part, ": ", failure.status.message());
}

}  // namespace palate
