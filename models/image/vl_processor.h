// Pixels to patches, as the Qwen vision-language models read them: Qwen2-VL, Qwen2.5-VL and
// Qwen3-VL all use this processor (image_processor_type Qwen2VLImageProcessor, with or without
// "Fast", and Qwen2_5_VL… and Qwen3VL… of some folders).
//
// An image keeps its aspect: both sides are rounded to multiples of patch_size * merge_size so that
// the area lies within a budget of pixels. Follows the reference's default (torchvision) backend:
// resizing uint8 with antialiasing, which rounds to uint8 before normalizing.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/checkpoint/json_config.h"
#include "models/image/image.h"
#include "models/image/preprocess.h"

namespace palate::models {

// One image, cut into patches. A value: copying shares the pixels.
struct ImagePatches {
  // float32 [grid_t * grid_h * grid_w, 3 * temporal_patch * patch * patch]. Rows go through the
  // merge blocks (row by row), and inside a block row by row; a row is [channel, temporal, y, x]
  // with the still image repeated in every temporal slot.
  at::Tensor pixel_values = {};
  int64_t grid_t = 1;  // 1 for a still image
  int64_t grid_h = 0;  // patches per column, a multiple of the merge size
  int64_t grid_w = 0;  // patches per row, likewise

  int64_t patches() const { return grid_t * grid_h * grid_w; }
};

// Bounds of an image's area after resizing, in pixels.
struct PixelBudget {
  int64_t min_pixels = 0;
  int64_t max_pixels = 0;
};

// The size to which an image is resized: multiples of `factor` near the image's own sides, within
// the budget. InvalidArgument when one side is more than 200 times the other. An image of extreme
// aspect may exceed max_pixels, since no side gets shorter than `factor`.
absl::StatusOr<ImageSize> SmartResize(const ImageSize& image, int64_t factor,
                                      const PixelBudget& budget);

struct VlProcessorConfig : PixelScale {
  bool do_resize = true;
  PixelBudget budget;
  Resample resample = Resample::kBicubic;
  int64_t patch_size = 14;
  int64_t temporal_patch_size = 2;
  int64_t merge_size = 2;

  // Reads preprocessor_config.json. The budget is "size" {shortest_edge, longest_edge} (areas, in
  // spite of their names), or min_pixels and max_pixels, which win. Keys that the file leaves out
  // get the values that the reference's class defines. Unimplemented naming the type when
  // image_processor_type is of another family.
  static absl::StatusOr<VlProcessorConfig> FromJson(const JsonConfig& json);
};

// Immutable; thread-safe. Apart from the antialiased resize itself, which is single-threaded for
// one image, it runs no parallel kernels, so that it may be called from any thread.
class VlImageProcessor {
 public:
  static absl::StatusOr<VlImageProcessor> Create(const VlProcessorConfig& config);
  // Reads preprocessor_config.json of `folder`, or the image processor in its
  // processor_config.json.
  static absl::StatusOr<VlImageProcessor> Load(const std::string& folder);

  // `budget` replaces the folder's own. InvalidArgument when the image's aspect is absurd,
  // ResourceExhausted when memory is short.
  absl::StatusOr<ImagePatches> Process(
      const Image& image, const std::optional<PixelBudget>& budget = std::nullopt) const;

  // Tokens that the language model sees for an image of this size: its patches divided by the merge
  // block. The cost of an image before it is decoded.
  absl::StatusOr<int64_t> TokensFor(const ImageSize& image,
                                    const std::optional<PixelBudget>& budget = std::nullopt) const;

  const VlProcessorConfig& config() const { return config_; }

 private:
  explicit VlImageProcessor(const VlProcessorConfig& config) : config_(config) {}
  // The size after resizing.
  absl::StatusOr<ImageSize> Resized(const ImageSize& image,
                                    const std::optional<PixelBudget>& budget) const;

  VlProcessorConfig config_;
};

}  // namespace palate::models
