// Rules for texts of the API that several folders check.
//
// Usage:
//   const bool id_is_clean = !HasControlCharacter(event.event_id);
//   const bool is_tag = IsLanguageTag("pt-BR");
//
// Pure functions, thread-safe.
#pragma once

#include "absl/strings/string_view.h"

namespace palate {

// Whether UTF-8 text has a character of C0 (NUL among them), DEL or a character of C1 (U+0080 to
// U+009F). No id may have one.
bool HasControlCharacter(absl::string_view text);

// Whether the text has the form of a BCP 47 language tag, such as "de", "pt-BR" or "zh-Hant-TW":
// subtags of 1 to 8 letters and digits with hyphens between them, the first of 2 to 8 letters, or
// "x" or "i" before another. Whether its subtags are registered is not checked.
bool IsLanguageTag(absl::string_view text);

}  // namespace palate
