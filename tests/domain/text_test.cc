#include "domain/text.h"

#include <gtest/gtest.h>

#include <string>

namespace palate {
namespace {

TEST(ControlCharacterTest, FindsThoseOfAsciiAndOfLatin1) {
  for (const std::string& text :
       {std::string("a\0b", 3), std::string("\n"), std::string("a\x1F"), std::string("\x7F"),
        std::string("a\xC2\x85"), std::string("\xC2\x9F")}) {
    EXPECT_TRUE(HasControlCharacter(text));
  }
  for (const char* text : {"", "item 1", "a\xC2\xA0", "\xC3\x80", "\xF0\x9F\x8E\xAC", "~"})
    EXPECT_FALSE(HasControlCharacter(text)) << text;
}

TEST(LanguageTagTest, TakesTagsOfAnyRegistry) {
  for (const char* tag : {"de", "en-US", "pt-BR", "zh-Hant-TW", "sr-Latn", "de-CH-1901", "es-419",
                          "en-u-ca-buddhist", "x-klingon", "i-default", "DE", "gsw"}) {
    EXPECT_TRUE(IsLanguageTag(tag)) << tag;
  }
}

TEST(LanguageTagTest, RefusesWhatIsNoTag) {
  for (const char* text :
       {"", "-", "d", "x", "not-a-tag!!", "de_DE", "de-", "-de", "de--CH", "4de", "1", "abcdefghi",
        "de CH", "en-verylongsubtag", "d\xC3\xA9", "*", "de\n"}) {
    EXPECT_FALSE(IsLanguageTag(text)) << text;
  }
}

}  // namespace
}  // namespace palate
