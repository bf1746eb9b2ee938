// Reads the header of an encoded picture without decoding it: enough to refuse a decompression
// bomb, a truncated file or another format. Pure functions, thread-safe; safe on hostile input.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::featurestore {

struct ImageProperties {
  std::string media_type;  // "image/jpeg", "image/png" or "image/webp"
  int width = 0;           // pixels, as declared; at least 1
  int height = 0;
};

// The format is sniffed from the bytes. INVALID_ARGUMENT (a plain message, no field) for other
// formats, damaged headers, sizes of zero, and files whose end is missing.
absl::StatusOr<ImageProperties> ReadImageProperties(absl::string_view bytes);

}  // namespace palate::featurestore
