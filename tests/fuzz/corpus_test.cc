// Runs a harness on its committed corpus: the seeds, and every input that once made a fuzzer fail.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/fuzz/fuzz.h"

namespace palate::fuzz {
namespace {

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TEST(FuzzCorpusTest, EveryInputIsHandled) {
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(PALATE_FUZZ_CORPUS)) {
    SCOPED_TRACE(entry.path().filename().string());
    const std::string content = Read(entry.path());
    // A copy of the exact size, so that a sanitizer detects reads past the end.
    const std::vector<uint8_t> input(content.begin(), content.end());
    EXPECT_EQ(LLVMFuzzerTestOneInput(input.data(), input.size()), 0);
    ++inputs;
  }
  EXPECT_GT(inputs, 0) << PALATE_FUZZ_CORPUS;
}

TEST(FuzzCorpusTest, CutAndFlippedInputsAreHandled) {
  for (const auto& entry : std::filesystem::directory_iterator(PALATE_FUZZ_CORPUS)) {
    const std::string content = Read(entry.path());
    for (size_t step = 1; step <= 8; ++step) {
      std::vector<uint8_t> input(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(
                                                                        content.size() * step / 9));
      LLVMFuzzerTestOneInput(input.data(), input.size());
      for (size_t i = step; i < input.size(); i += input.size() / 4 + 1)
        input[i] = static_cast<uint8_t>(input[i] ^ (1u << (step - 1)));
      LLVMFuzzerTestOneInput(input.data(), input.size());
    }
  }
}

}  // namespace
}  // namespace palate::fuzz
