// Three-dimensional rotary positions (M-RoPE, https://arxiv.org/abs/2409.12191) of a text with
// images in it. Without LibTorch's tensors.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace palate::models {

// An image as the decoder sees it: merged patches.
struct MergedGrid {
  int64_t t = 1;
  int64_t h = 0;
  int64_t w = 0;

  int64_t tokens() const { return t * h * w; }
};

struct MropePositions {
  // Temporal, height and width, each with one position per token. The three are equal for text.
  std::array<std::vector<int64_t>, 3> axes;
  // Of the token after the last. An image moves it on by its longer side, not by its tokens.
  int64_t next = 0;
};

// `ids` with their placeholders expanded; each run of an image's placeholders, in order, takes as
// many of `image_token_id` as the image has tokens. Placeholders beyond the last image are text.
MropePositions PositionsOf(absl::Span<const int64_t> ids, absl::Span<const MergedGrid> images,
                           int64_t image_token_id, int64_t start);

}  // namespace palate::models
