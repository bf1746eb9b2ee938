// golden_check: compares this code with the reference implementation's outputs.
//
//   golden_check DIR [--minilm DIR]
//
// DIR is a fixture, or a folder that holds fixtures at any depth; tests/goldens/README.md says what
// a fixture is. --minilm is the folder of the published all-MiniLM-L6-v2, for fixtures of published
// weights; by default it is the text tower of the built-in dual encoder. One line per check with
// the measured error and what is allowed, and the count last. Exits with 0 when all passed, 1 when
// one failed, 2 when used wrongly.
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "offline/golden/run.h"

namespace {

constexpr absl::string_view kUsage = "usage: golden_check DIR [--minilm DIR]\n";
constexpr absl::string_view kMiniLmFlag = "--minilm";

// The dual encoder's text tower, where an installation and a build folder have it: beside the
// folder of this binary.
std::string BuiltinMiniLm() {
  std::error_code error;
  const std::filesystem::path binary = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path folder =
      binary.parent_path().parent_path() / "share/models/dual_encoder/text";
  return std::filesystem::exists(folder / "config.json", error) ? folder.string() : std::string();
}

// Nothing when the arguments are not those of the usage line.
std::optional<palate::golden::RunOptions> ParseArguments(int argc, char** argv) {
  palate::golden::RunOptions options = {.folder = "", .published = BuiltinMiniLm()};
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (argument == kMiniLmFlag && i + 1 < argc) {
      options.published = argv[++i];
    } else if (absl::ConsumePrefix(&argument, "--minilm=")) {
      options.published = std::string(argument);
    } else if (options.folder.empty() && !argument.empty() && !absl::StartsWith(argument, "-")) {
      options.folder = std::string(argument);
    } else {
      return std::nullopt;
    }
  }
  if (options.folder.empty()) return std::nullopt;
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = ParseArguments(argc, argv);
  if (!options.has_value()) {
    std::cerr << kUsage;
    return 2;
  }
  return palate::golden::Run(*options, std::cout);
}
