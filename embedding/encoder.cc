#include "embedding/encoder.h"

#include <algorithm>

namespace palate::embedding {

int64_t Encoder::EstimateText(size_t bytes) const {
  // Typical bytes of a token in a large vocabulary, and the special tokens around a text.
  constexpr int64_t kBytesPerToken = 4;
  constexpr int64_t kSpecialTokens = 2;
  return std::min(info_.max_text_tokens,
                  kSpecialTokens + static_cast<int64_t>(bytes) / kBytesPerToken);
}

}  // namespace palate::embedding
