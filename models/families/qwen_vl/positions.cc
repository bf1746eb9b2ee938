#include "models/families/qwen_vl/positions.h"

#include <algorithm>

namespace palate::models {
namespace {

void AppendImage(const MergedGrid& image, int64_t start, MropePositions& positions) {
  for (int64_t t = 0; t < image.t; ++t) {
    for (int64_t h = 0; h < image.h; ++h) {
      for (int64_t w = 0; w < image.w; ++w) {
        positions.axes[0].push_back(start + t);
        positions.axes[1].push_back(start + h);
        positions.axes[2].push_back(start + w);
      }
    }
  }
}

}  // namespace

MropePositions PositionsOf(absl::Span<const int64_t> ids, absl::Span<const MergedGrid> images,
                           int64_t image_token_id, int64_t start) {
  MropePositions positions;
  positions.next = start;
  size_t image = 0;

  for (size_t i = 0; i < ids.size();) {
    if (ids[i] == image_token_id && image < images.size()) {
      AppendImage(images[image], positions.next, positions);
      positions.next += std::max(images[image].h, images[image].w);
      i += static_cast<size_t>(images[image].tokens());
      ++image;
      continue;
    }

    for (std::vector<int64_t>& axis : positions.axes) axis.push_back(positions.next);
    ++positions.next;
    ++i;
  }
  return positions;
}

}  // namespace palate::models
