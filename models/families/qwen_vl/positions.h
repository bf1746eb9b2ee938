// Three-dimensional rotary positions (M-RoPE, https://arxiv.org/abs/2409.12191) of a text that
// contains images. Without LibTorch.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace palate::models {

// An image in the decoder: its grid of merged patches.
struct MergedGrid {
  int64_t t = 1;
  int64_t h = 0;
  int64_t w = 0;

  int64_t tokens() const { return t * h * w; }
};

struct MropePositions {
  // Temporal, height and width, each with one position per token. The three are equal for text.
  std::array<std::vector<int64_t>, 3> axes;
  // The position of the token after the last. An image advances it by its longer side, not by its
  // number of tokens.
  int64_t next = 0;
};

// The positions of `ids`, whose image placeholders are expanded: the run of each image, in order,
// has as many `image_token_id` as the image has tokens. Placeholders beyond the last image count as
// text.
MropePositions PositionsOf(absl::Span<const int64_t> ids, absl::Span<const MergedGrid> images,
                           int64_t image_token_id, int64_t start);

}  // namespace palate::models
