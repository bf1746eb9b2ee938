// Checks that the usage examples in headers are the ones that a test compiles.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace palate {

// The code without whitespace, because clang-format breaks lines of comments and code differently.
inline std::string WithoutWhitespace(absl::string_view code) {
  return absl::StrJoin(absl::StrSplit(code, absl::ByAnyChar(" \n"), absl::SkipEmpty()), "");
}

// The comment lines that follow "// Usage:" and are indented further than text.
inline std::string UsageExampleOf(absl::string_view header) {
  std::string example;
  bool inside = false;
  for (absl::string_view line : absl::StrSplit(header, '\n')) {
    if (line == "// Usage:") {
      inside = true;
    } else if (inside && absl::ConsumePrefix(&line, "//   ")) {
      absl::StrAppend(&example, line, "\n");
    } else if (inside && line != "//") {
      break;
    }
  }

  return WithoutWhitespace(example);
}

// The text of a file of the checkout; `path` is relative to its root.
inline std::string TextOfSource(const std::string& path) {
  std::ifstream file(std::string(PALATE_SOURCE_DIR) + "/" + path);
  EXPECT_TRUE(file) << path;

  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// `header` and `test` are paths in the checkout.
inline void ExpectTestHasExampleOf(const std::string& header, const std::string& test) {
  const std::string example = UsageExampleOf(TextOfSource(header));

  EXPECT_FALSE(example.empty()) << header;
  EXPECT_THAT(WithoutWhitespace(TextOfSource(test)), ::testing::HasSubstr(example)) << header;
}

}  // namespace palate
