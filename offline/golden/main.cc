// palate-golden-check: compares this code with the reference implementation's outputs.
//
//   palate-golden-check DIR [--minilm DIR]
//
// DIR is a fixture, or a folder that holds fixtures at any depth; tests/goldens/README.md says what
// a fixture is. --minilm is the folder of the published all-MiniLM-L6-v2, for fixtures of published
// weights; by default it is the text tower of the built-in dual encoder. One line per check with
// the measured error and what is allowed, and the count last. Exits with 0 when all passed, 1 when
// one failed, 2 when used wrongly.
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/command_line.h"
#include "base/version.h"
#include "offline/golden/run.h"

namespace {

constexpr absl::string_view kUsage =
    "usage: palate-golden-check DIR [--minilm DIR]\n\n"
    "  DIR           a fixture, or a folder that holds fixtures at any depth\n"
    "  --minilm DIR  the published all-MiniLM-L6-v2 (default: the text tower of the built-in "
    "pair)\n"
    "  --version     print the version\n";

// The dual encoder's text tower, where an installation and a build folder have it: beside the
// folder of this binary.
std::string BuiltinMiniLm() {
  std::error_code error;
  const std::filesystem::path binary = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path folder =
      binary.parent_path().parent_path() / "share/models/dual_encoder/text";
  return std::filesystem::exists(folder / "config.json", error) ? folder.string() : std::string();
}

}  // namespace

int main(int argc, char** argv) {
  auto flags =
      palate::Flags::Parse(std::vector<std::string>(argv + 1, argv + argc), {"help", "version"});
  if (flags.ok() && flags->Switch("version")) {
    std::cout << "palate-golden-check " << palate::Version() << "\n";
    return 0;
  }
  if (flags.ok() && flags->Switch("help")) {
    std::cout << kUsage;
    return 0;
  }

  palate::golden::RunOptions options;
  if (flags.ok()) options.published = flags->Text("minilm", BuiltinMiniLm());
  const absl::Status status = flags.ok() ? flags->CheckAllUsed() : flags.status();
  if (!status.ok() || flags->positional().size() != 1 || flags->positional()[0].empty()) {
    if (!status.ok()) std::cerr << "palate-golden-check: " << status.message() << "\n";
    std::cerr << kUsage;
    return 2;
  }

  options.folder = flags->positional()[0];
  return palate::golden::Run(options, std::cout);
}
