// What the caches keep of one input in one space.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace palate::embedding {

struct CachedVector {
  // False when the input has no content for the space (no picture, no `image` vector), which is an
  // answer too.
  bool present = false;
  std::vector<float> values;  // [dimensions], unit length; as it was computed, bit for bit
  // As the computed result had them.
  int64_t tokens = 0;
  int64_t truncated_tokens = 0;
};

// Counters of one cache, since the start; sizes are as of now.
struct CacheStats {
  int64_t hits = 0;    // inputs answered from the cache
  int64_t misses = 0;  // inputs computed
  int64_t shared = 0;  // inputs that another call was computing, and whose answer was shared
  int64_t vectors = 0;
  int64_t bytes = 0;
  int64_t max_bytes = 0;
  int64_t errors = 0;  // entries that could not be read or written
};

}  // namespace palate::embedding
