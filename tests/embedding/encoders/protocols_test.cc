#include <gtest/gtest.h>

#include "embedding/encoders/unicode.h"

namespace palate::embedding {
namespace {

TEST(EndsWithPunctuationTest, KnowsEveryCategoryOfPunctuation) {
  for (const char* text :
       {"a.", "why?", "under_", "dash-", "em\u2014", "(open(", "close)", "\u00ab", "\u00bb",
        "\u3002", "\uff01", "\u00bf", "\u0589", "\U00010100", "\U0001e95f"}) {
    EXPECT_TRUE(EndsWithPunctuation(text)) << text;
  }
}

TEST(EndsWithPunctuationTest, SymbolsLettersAndDigitsAreNone) {
  for (const char* text : {"", "a", "7", "$", "+", "<", "=", "^", "`", "|", "~", "\u00a9", "\u20ac",
                           "\u4f60", "\U0001f431", " ", ". "}) {
    EXPECT_FALSE(EndsWithPunctuation(text)) << text;
  }
}

TEST(StripUnicodeWhitespaceTest, TakesBothEndsOffAndNothingInside) {
  EXPECT_EQ(StripUnicodeWhitespace(" \t\r\n\v\f a b \u00a0\u2003\u3000\u0085\u2028"), "a b");
  EXPECT_EQ(StripUnicodeWhitespace("\x1c\x1f"
                                   "x"),
            "x");
  EXPECT_EQ(StripUnicodeWhitespace("\u200b"
                                   "x"),
            "\u200b"
            "x")
      << "a zero-width space is not whitespace";
  EXPECT_EQ(StripUnicodeWhitespace(" \n "), "");
  EXPECT_EQ(StripUnicodeWhitespace(""), "");
}

}  // namespace
}  // namespace palate::embedding
