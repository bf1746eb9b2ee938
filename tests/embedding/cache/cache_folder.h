// A temporary folder for a cache, and entries for it.
#pragma once

#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "embedding/cache/cached_vector.h"
#include "tests/temp_folder.h"

namespace palate::embedding {

class CacheFolder {
 public:
  // Created by the cache.
  std::string dir() const { return folder_.file("cache"); }

  // The size of all files.
  int64_t bytes() const {
    const std::vector<int64_t> sizes = Sizes("");
    return std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  }
  // The sizes of RocksDB's table files.
  std::vector<int64_t> tables() const { return Sizes(".sst"); }

 private:
  // The sizes of files with this extension; files that vanish meanwhile are skipped.
  std::vector<int64_t> Sizes(const std::string& extension) const {
    std::vector<int64_t> sizes;
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir())) {
      if (!extension.empty() && file.path().extension() != extension) continue;
      std::error_code gone;
      const auto size = file.is_regular_file(gone) ? file.file_size(gone) : 0;
      if (!gone) sizes.push_back(static_cast<int64_t>(size));
    }
    return sizes;
  }

  TempFolder folder_;
};

// A vector that differs for every number.
inline CachedVector VectorOf(int number, size_t dimensions = 384) {
  CachedVector vector;
  vector.present = true;
  vector.tokens = number;
  vector.truncated_tokens = 1;
  for (size_t i = 0; i < dimensions; ++i)
    vector.values.push_back(static_cast<float>(number) + 0.001f * static_cast<float>(i));
  return vector;
}

// A digest like those of ContentDigest.
inline std::string ContentOf(int number) { return Sha256(std::to_string(number)); }

}  // namespace palate::embedding
