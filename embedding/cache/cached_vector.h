// The cached result of one input in one space.
#pragma once

#include <cstdint>
#include <vector>

namespace palate::embedding {

struct CachedVector {
  // False if the input has no content for the space (without an image there is no `image` vector);
  // this is cached too.
  bool present = false;
  std::vector<float> values;  // [dimensions], unit length; bit for bit as computed
  // The counts of the computed result.
  int64_t tokens = 0;
  int64_t truncated_tokens = 0;
};

// Counters of one cache since its start, and its current sizes.
struct CacheStats {
  int64_t hits = 0;    // inputs answered from the cache
  int64_t misses = 0;  // inputs computed
  int64_t shared = 0;  // inputs whose result another call was computing
  int64_t vectors = 0;
  int64_t bytes = 0;
  int64_t max_bytes = 0;
  int64_t errors = 0;  // entries that could not be read or written
};

}  // namespace palate::embedding
