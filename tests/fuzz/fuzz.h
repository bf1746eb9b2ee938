// Helpers of the fuzz harnesses. Each harness defines LLVMFuzzerTestOneInput. libFuzzer calls it in
// a build with PALATE_FUZZ; corpus_test.cc runs it on the committed corpus in every other build.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// Aborts the process when `condition` is false; libFuzzer then saves the input.
#define FUZZ_CHECK(condition)                                                            \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)

namespace palate::fuzz {

// A folder of this process, in /dev/shm if that is writable. Removed at exit.
inline const std::string& ScratchFolder() {
  static const std::string* const folder = [] {
    const std::filesystem::path root =
        ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : std::filesystem::temp_directory_path();

    auto* const path =
        new std::string((root / ("palate-fuzz-" + std::to_string(::getpid()))).string());

    std::filesystem::create_directories(*path);
    std::atexit([] { std::filesystem::remove_all(ScratchFolder()); });

    return path;
  }();
  return *folder;
}

inline std::string Scratch(const std::string& name) { return ScratchFolder() + "/" + name; }

}  // namespace palate::fuzz
