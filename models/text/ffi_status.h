// Converts between the text library's C ABI and our types. Internal to models/text.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "models/text/ffi/palate_text.h"

namespace palate::models {

inline palate_text_slice ToSlice(absl::string_view text) { return {text.data(), text.size()}; }

// Copies the string and frees the original.
inline std::string TakeString(palate_text_string string) {
  std::string result(string.data, string.size);
  palate_text_string_free(string);
  return result;
}

// The status for a return code; frees `error` when there is one.
inline absl::Status ToStatus(int code, palate_text_string error) {
  if (code == PALATE_TEXT_OK) return absl::OkStatus();
  const std::string message = TakeString(error);
  return code == PALATE_TEXT_INVALID ? absl::InvalidArgumentError(message)
                                     : absl::InternalError("text library: " + message);
}

}  // namespace palate::models
