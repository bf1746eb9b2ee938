// The usage examples in the headers of offline/golden, compiled and run.
#include "tests/usage_examples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "base/status.h"
#include "offline/golden/json_node.h"
#include "offline/golden/report.h"
#include "tests/models/golden.h"
#include "tests/temp_folder.h"

namespace palate::golden {
namespace {

void ExpectExampleOf(const std::string& header) {
  ExpectTestHasExampleOf(header, "tests/offline/golden/usage_examples_test.cc");
}

absl::Status UseJsonNode(const std::string& path) {
  PALATE_ASSIGN_OR_RETURN(const JsonNode inputs, JsonNode::Load(path, "inputs.json"));
  PALATE_ASSIGN_OR_RETURN(const auto texts, inputs.Strings("texts"));
  const std::vector<std::string> unread = inputs.Unread();

  EXPECT_THAT(texts, ::testing::ElementsAre("a lamp"));
  EXPECT_THAT(unread, ::testing::ElementsAre("inputs.json: /images"));
  return absl::OkStatus();
}

TEST(UsageExampleTest, JsonNode) {
  ExpectExampleOf("offline/golden/json_node.h");
  const TempFolder folder;
  models::WriteAll(folder.file("inputs.json"), R"({"texts": ["a lamp"], "images": []})");

  const absl::Status status = UseJsonNode(folder.file("inputs.json"));
  EXPECT_TRUE(status.ok()) << status;
}

TEST(UsageExampleTest, Report) {
  ExpectExampleOf("offline/golden/report.h");
  std::ostringstream out;

  Report report(out);
  report.BeginFixture("vit-model");
  report.AtMost("pixel_values", "max abs diff", 2e-6, 1e-5);
  report.Summarize();

  EXPECT_THAT(out.str(), ::testing::EndsWith("1 passed, 0 failed\n"));
}

}  // namespace
}  // namespace palate::golden
