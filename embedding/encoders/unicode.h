// Unicode classification that the prompt protocols need. REQUIRES: text is valid UTF-8.
#pragma once

#include "absl/strings/string_view.h"

namespace palate::embedding {

// Whether the last character has a general category of P*; false for an empty text.
bool EndsWithPunctuation(absl::string_view text);

// `text` without whitespace at either end, as Python's str.strip() defines it.
absl::string_view StripUnicodeWhitespace(absl::string_view text);

}  // namespace palate::embedding
