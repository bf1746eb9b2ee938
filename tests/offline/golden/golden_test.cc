#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "offline/golden/json_node.h"
#include "offline/golden/run.h"
#include "tests/models/golden_tensors.h"
#include "tests/temp_folder.h"

namespace palate::golden {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

std::string OwnFixtures() { return std::string(PALATE_SOURCE_DIR) + "/tests/goldens"; }

// The dual encoder's text tower in the build folder, else in the download cache.
std::string MiniLm() {
  const char* share = std::getenv("PALATE_SHARE_DIR");
  return share != nullptr ? std::string(share) + "/models/dual_encoder/text"
                          : models::MiniLmFolder();
}

struct Outcome {
  int code = 0;
  std::string output;
};

Outcome Check(const std::string& folder) {
  std::ostringstream out;
  Outcome outcome;
  outcome.code = Run({.folder = folder, .published = MiniLm()}, out);
  outcome.output = out.str();
  return outcome;
}

// The lines of checks that failed.
std::string Failures(const std::string& output) {
  std::istringstream lines(output);
  std::string failures;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("FAIL", 0) == 0) absl::StrAppend(&failures, line, "\n");
  }
  return failures;
}

TEST(GoldenCheckTest, PassesOnTheFixturesOfThisRepository) {
  const Outcome outcome = Check(OwnFixtures());

  EXPECT_EQ(outcome.code, 0) << Failures(outcome.output);
  EXPECT_THAT(outcome.output, EndsWith(" passed, 0 failed\n"));
}

TEST(GoldenCheckTest, PassesOnTheSharedFixtures) {
  const std::string folder = models::SharedDir() + "/goldens";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  const Outcome outcome = Check(folder);
  EXPECT_EQ(outcome.code, 0) << Failures(outcome.output);
}

TEST(GoldenCheckTest, PassesOnOneFixtureGivenByItself) {
  const Outcome outcome = Check(OwnFixtures() + "/vit-model/");
  EXPECT_EQ(outcome.code, 0) << Failures(outcome.output);
  EXPECT_THAT(outcome.output, HasSubstr("PASS vit-model last_hidden_state: max abs diff"));
}

// A damaged copy of one fixture.
class DamagedFixtureTest : public ::testing::Test {
 protected:
  void Copy(const std::string& name) {
    std::filesystem::create_directories(temporary_.file("nested"));
    models::CopyFolder(OwnFixtures() + "/" + name, folder());
  }
  std::string folder() const { return temporary_.file("nested/fixture"); }
  std::string Path(const std::string& name) const { return folder() + "/" + name; }

  void ChangeJson(const std::string& name, const std::function<void(Json&)>& change) {
    Json json = models::Golden::Read(Path(name));
    change(json);
    models::WriteAll(Path(name), json.dump());
  }
  void ChangeTensors(const std::function<void(models::TensorMap&)>& change) {
    models::TensorMap tensors = *models::LoadTensors(Path("expected.safetensors"));
    change(tensors);
    ASSERT_TRUE(models::SaveTensors(tensors, Path("expected.safetensors")).ok());
  }
  // Expects that exactly one check fails, and that its line contains `part`.
  void ExpectOneFailure(const std::string& part) {
    const Outcome outcome = Check(temporary_.path());
    EXPECT_EQ(outcome.code, 1);
    EXPECT_THAT(Failures(outcome.output), HasSubstr(part));
    EXPECT_THAT(outcome.output, EndsWith(" passed, 1 failed\n")) << Failures(outcome.output);
  }

 private:
  TempFolder temporary_;
};

TEST_F(DamagedFixtureTest, IntactCopyPasses) {
  Copy("vit-model");
  const Outcome outcome = Check(folder());
  EXPECT_EQ(outcome.code, 0) << Failures(outcome.output);
}

TEST_F(DamagedFixtureTest, UnknownKeyOfTheInputsFails) {
  Copy("vit-model");
  ChangeJson("inputs/inputs.json", [](Json& json) { json["surprise"] = {1, 2}; });
  ExpectOneFailure("coverage: inputs.json: /surprise was consumed by no check");
}

TEST_F(DamagedFixtureTest, UnknownKeyInsideAnAnswerFails) {
  Copy("siglip2-fixed");
  ChangeJson("expected.json", [](Json& json) { json["tokenize"][2]["surprise"] = "x"; });
  ExpectOneFailure("coverage: expected.json: /tokenize/2/surprise was consumed by no check");
}

TEST_F(DamagedFixtureTest, NotesAreNoUnknownKeys) {
  Copy("vit-model");
  ChangeJson("expected.json", [](Json& json) { json["notes"] = "made by hand"; });
  EXPECT_EQ(Check(folder()).code, 0);
}

TEST_F(DamagedFixtureTest, TensorThatNoCheckReadsFails) {
  Copy("vit-model");
  ChangeTensors([](models::TensorMap& tensors) { tensors["surprise"] = at::ones({2}); });
  ExpectOneFailure("coverage: expected.safetensors: surprise was consumed by no check");
}

TEST_F(DamagedFixtureTest, MissingTensorFails) {
  Copy("embed-qwen3");
  ChangeTensors([](models::TensorMap& tensors) { tensors.erase("embed.6"); });
  ExpectOneFailure("embed: expected.safetensors has no tensor \"embed.6\"");
}

TEST_F(DamagedFixtureTest, WrongValueFailsWithTheMeasuredError) {
  Copy("vit-model");
  ChangeTensors([](models::TensorMap& tensors) {
    tensors["last_hidden_state"] = tensors["last_hidden_state"] + 0.01;
  });
  ExpectOneFailure("last_hidden_state: max abs diff 0.01 (at most 0.0001)");
}

TEST_F(DamagedFixtureTest, ValueThatIsNoNumberFails) {
  Copy("vit-model");
  ChangeTensors([](models::TensorMap& tensors) {
    tensors["pooled_cls"][0][0] = std::numeric_limits<float>::quiet_NaN();
  });
  ExpectOneFailure("pooled_cls");
}

TEST_F(DamagedFixtureTest, WrongShapeFails) {
  Copy("vit-model");
  ChangeTensors(
      [](models::TensorMap& tensors) { tensors["pixel_values"] = tensors["pixel_values"][0]; });
  ExpectOneFailure("pixel_values: shape [4, 3, 24, 24] instead of [3, 24, 24]");
}

TEST_F(DamagedFixtureTest, WrongTokenIdFails) {
  Copy("siglip2-fixed");
  ChangeJson("expected.json", [](Json& json) { json["tokenize"][0]["input_ids"][0] = 0; });
  const Outcome outcome = Check(folder());
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(
      Failures(outcome.output),
      HasSubstr(
          "tokenize input_ids: 1 of 6 differ (at most 0); first: \"a photo of a cat\": 8 ids"));
}

TEST_F(DamagedFixtureTest, CheckpointWithoutWeightsFailsWithoutStoppingTheRun) {
  Copy("vit-model");
  std::filesystem::remove(Path("checkpoint/model.safetensors"));
  const Outcome outcome = Check(folder());
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(Failures(outcome.output), HasSubstr("tower_images: "));
}

TEST_F(DamagedFixtureTest, FixtureThatAsksNothingFails) {
  Copy("vit-model");
  models::WriteAll(Path("inputs/inputs.json"), "{}");
  const Outcome outcome = Check(folder());
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(Failures(outcome.output), HasSubstr("no key of it asks for a check"));
}

TEST_F(DamagedFixtureTest, UnreadableJsonFails) {
  Copy("vit-model");
  models::WriteAll(Path("expected.json"), "{\"images\": [");
  ExpectOneFailure("open: expected.json is no JSON object");
}

TEST_F(DamagedFixtureTest, PublishedWeightsWithAnotherDigestFail) {
  Copy("vit-model");
  models::WriteAll(Path("inputs/checkpoint.json"),
                   R"({"name": "x", "sha256": {"config.json": "00"}})");
  const Outcome outcome = Check(folder());
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(Failures(outcome.output), HasSubstr("published checkpoint: "));
}

// The exit code of the binary with these arguments.
int ExitCode(const std::string& arguments) {
  const char* bin = std::getenv("PALATE_BIN_DIR");
  const std::string command = absl::StrCat(bin != nullptr ? bin : "bin", "/palate-golden-check ",
                                           arguments, " >/dev/null 2>&1");
  return WEXITSTATUS(std::system(command.c_str()));
}

TEST(GoldenCheckBinaryTest, ExitCodesTellUsageFromFailure) {
  const TempFolder empty;
  EXPECT_EQ(ExitCode(""), 2);
  EXPECT_EQ(ExitCode("a b"), 2);
  EXPECT_EQ(ExitCode("--unknown " + OwnFixtures()), 2);
  EXPECT_EQ(ExitCode(OwnFixtures() + " --minilm"), 2);
  EXPECT_EQ(ExitCode(empty.path()), 2);
  EXPECT_EQ(ExitCode(empty.file("absent")), 2);
  EXPECT_EQ(ExitCode(OwnFixtures() + "/vit-model --minilm " + empty.path()), 0);
  models::CopyFolder(OwnFixtures() + "/vit-model", empty.file("fixture"));
  std::filesystem::remove(empty.file("fixture/expected.safetensors"));
  EXPECT_EQ(ExitCode(empty.path()), 1);
}

TEST(JsonNodeTest, ReportsWhatWasNotRead) {
  const JsonNode node(
      Json::parse(R"({"a": 1, "b": {"c": [1, 2], "d": "x"}, "e": [{"f": 1}, {"f": 2}], "g": []})"),
      "test");
  EXPECT_EQ(*node.Int("a"), 1);
  EXPECT_EQ(*node.At("b")->String("d"), "x");
  EXPECT_EQ(*(*node.List("e"))[1].Int("f"), 2);
  EXPECT_THAT(node.Unread(), ::testing::ElementsAre("test: /b/c", "test: /e/0/f", "test: /g"));
}

TEST(JsonNodeTest, NamesThePlaceOfWhatIsMissingOrOfAnotherType) {
  const JsonNode node(Json::parse(R"({"e": [{"f": 1}]})"), "test");
  const JsonNode first = (*node.List("e"))[0];
  EXPECT_EQ(first.Int("g").status().message(), "test: /e/0/ has no key \"g\"");
  EXPECT_EQ(first.String("f").status().message(), "test: /e/0/f is not a text");
}

}  // namespace
}  // namespace palate::golden
