// The two questions about characters that the protocols ask. REQUIRES: text is valid UTF-8.
#pragma once

#include "absl/strings/string_view.h"

namespace palate::embedding {

// Whether the last character is of a Unicode general category P*; false for no text.
bool EndsWithPunctuation(absl::string_view text);

// Without whitespace at either end, as Python's str.strip() understands it.
absl::string_view StripUnicodeWhitespace(absl::string_view text);

}  // namespace palate::embedding
