// Errors name an input by its place in a call. Where a call is made of parts of another one, the names have to follow.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace palate::embedding {

// "inputs[3]".
std::string InputName(size_t index);

// The same status with every `from` replaced by `to`, in the message and in the fields of its violations.
absl::Status RenameField(const absl::Status& status, absl::string_view from, absl::string_view to);

}  // namespace palate::embedding
