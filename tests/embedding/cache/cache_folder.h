// A folder for a cache, and entries to put into it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "embedding/cache/cached_vector.h"

namespace palate::embedding {

class CacheFolder {
 public:
  CacheFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "palate-cache-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~CacheFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  CacheFolder(const CacheFolder&) = delete;
  CacheFolder& operator=(const CacheFolder&) = delete;

  // Made by the cache.
  std::string dir() const { return path_ + "/cache"; }

  int64_t bytes() const {
    int64_t sum = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir())) {
      std::error_code gone;
      const auto size = file.is_regular_file(gone) ? file.file_size(gone) : 0;
      if (!gone) sum += static_cast<int64_t>(size);
    }
    return sum;
  }

 private:
  std::string path_;
};

// A vector that no other number gives.
inline CachedVector VectorOf(int number, size_t dimensions = 384) {
  CachedVector vector;
  vector.present = true;
  vector.tokens = number;
  vector.truncated_tokens = 1;
  for (size_t i = 0; i < dimensions; ++i) vector.values.push_back(static_cast<float>(number) + 0.001f * static_cast<float>(i));
  return vector;
}

// A digest, as ContentDigest would give it.
inline std::string ContentOf(int number) { return Sha256(std::to_string(number)); }

}  // namespace palate::embedding
