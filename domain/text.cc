#include "domain/text.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace palate {

bool HasControlCharacter(absl::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte < 0x20 || byte == 0x7F) return true;
    // U+0080 to U+009F are 0xC2 0x80 to 0xC2 0x9F in UTF-8.
    if (byte == 0xC2 && i + 1 < text.size() && static_cast<uint8_t>(text[i + 1]) < 0xA0)
      return true;
  }
  return false;
}

bool IsLanguageTag(absl::string_view text) {
  const std::vector<absl::string_view> subtags = absl::StrSplit(text, '-');
  const bool well_formed =
      std::all_of(subtags.begin(), subtags.end(), [](absl::string_view subtag) {
        return !subtag.empty() && subtag.size() <= 8 &&
               std::all_of(subtag.begin(), subtag.end(),
                           [](char c) { return absl::ascii_isalnum(c); });
      });
  if (!well_formed) return false;

  const std::string first = absl::AsciiStrToLower(subtags.front());
  if (first == "x" || first == "i") return subtags.size() > 1;
  return first.size() >= 2 &&
         std::all_of(first.begin(), first.end(), [](char c) { return absl::ascii_isalpha(c); });
}

}  // namespace palate
