// Reference inputs and outputs of ../shared/goldens, and other helpers of the model tests. Without
// LibTorch.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "models/checkpoint/json_config.h"
#include "nlohmann/json.hpp"

namespace palate::models {

inline std::string SharedDir() {
  const char* shared = std::getenv("PALATE_SHARED_DIR");
  return shared != nullptr ? shared : std::string(PALATE_SOURCE_DIR) + "/../shared";
}

// One folder of the goldens.
struct Golden {
  explicit Golden(const std::string& name) : folder(SharedDir() + "/goldens/" + name) {}

  bool exists() const { return std::filesystem::exists(folder + "/expected.json"); }
  std::string checkpoint() const { return folder + "/checkpoint"; }
  std::string tensors() const { return folder + "/expected.safetensors"; }
  std::string input(const std::string& name) const { return folder + "/inputs/" + name; }
  nlohmann::ordered_json inputs() const { return Read(folder + "/inputs/inputs.json"); }
  nlohmann::ordered_json expected() const { return Read(folder + "/expected.json"); }

  static nlohmann::ordered_json Read(const std::string& path) {
    std::ifstream file(path);
    return nlohmann::ordered_json::parse(file);
  }

  std::string folder;
};

#define PALATE_SKIP_WITHOUT(golden) \
  if (!(golden).exists()) GTEST_SKIP() << (golden).folder << " is absent"

// The folder of the published all-MiniLM-L6-v2: PALATE_MINILM_DIR, otherwise in the download cache.
inline std::string MiniLmFolder() {
  if (const char* folder = std::getenv("PALATE_MINILM_DIR")) return folder;
  if (const char* cache = std::getenv("PALATE_CACHE_DIR"))
    return std::string(cache) + "/all-MiniLM-L6-v2";
  if (const char* cache = std::getenv("XDG_CACHE_HOME"))
    return std::string(cache) + "/palate/all-MiniLM-L6-v2";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "" : home) + "/.cache/palate/all-MiniLM-L6-v2";
}

inline std::string ReadAll(const std::string& path) {
  auto content = ReadFileToString(path);
  EXPECT_TRUE(content.ok()) << content.status();
  return content.ok() ? *std::move(content) : std::string();
}

inline void WriteAll(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

// Copies a folder so that a test can damage its files: the copies are writable even if the
// originals are read-only.
inline void CopyFolder(const std::string& from, const std::string& to) {
  std::filesystem::create_directories(to);
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    const std::string target = to + "/" + entry.path().filename().string();
    if (entry.is_directory()) {
      CopyFolder(entry.path(), target);
    } else {
      std::filesystem::copy_file(entry.path(), target);
      std::filesystem::permissions(target, std::filesystem::perms::owner_write,
                                   std::filesystem::perm_options::add);
    }
  }
}

}  // namespace palate::models
