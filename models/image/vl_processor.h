// Converts pixels to patches for the Qwen vision-language models. Qwen2-VL, Qwen2.5-VL and Qwen3-VL
// share this processor (image_processor_type Qwen2VLImageProcessor, with or without "Fast"; some
// folders have Qwen2_5_VL… or Qwen3VL…).
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const VlImageProcessor processor, VlImageProcessor::Load(folder));
//   PALATE_ASSIGN_OR_RETURN(const Image image, DecodeImage(encoded));
//   PALATE_ASSIGN_OR_RETURN(const ImagePatches patches, processor.Process(image));
//
// An image keeps its aspect ratio: both sides are rounded to multiples of patch_size * merge_size
// such that the area lies within a pixel budget. Follows the reference's default (torchvision)
// backend, which resizes uint8 with antialiasing and rounds to uint8 before normalizing.
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

// One image as patches. A value: copies share the pixels.
struct ImagePatches {
  // float32 [grid_t * grid_h * grid_w, 3 * temporal_patch * patch * patch]. Rows are ordered by
  // merge block, row by row, and within a block row by row. A row is [channel, temporal, y, x],
  // with the still image repeated in every temporal slot.
  at::Tensor pixel_values = {};
  int64_t grid_t = 1;  // 1 for a still image
  int64_t grid_h = 0;  // patches per column, a multiple of the merge size
  int64_t grid_w = 0;  // patches per row, a multiple of the merge size

  int64_t patches() const { return grid_t * grid_h * grid_w; }
};

// Limits of an image's area after resizing, in pixels.
struct PixelBudget {
  int64_t min_pixels = 0;
  int64_t max_pixels = 0;
};

// The size to which an image is resized: multiples of `factor` near its own sides, within the
// budget. InvalidArgument when one side is more than 200 times the other. An image of extreme
// aspect ratio may exceed max_pixels, because no side becomes shorter than `factor`.
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
  // spite of their names), or min_pixels and max_pixels, which take precedence. Absent keys get the
  // defaults of the reference's class. Unimplemented naming the type when image_processor_type
  // belongs to another family.
  static absl::StatusOr<VlProcessorConfig> FromJson(const JsonConfig& json);
};

// Immutable; thread-safe. Uses no parallel kernels except the antialiased resize, which is
// single-threaded for one image, so any thread may call it.
class VlImageProcessor {
 public:
  static absl::StatusOr<VlImageProcessor> Create(const VlProcessorConfig& config);
  // Reads preprocessor_config.json of `folder`, or "image_processor" of its processor_config.json.
  static absl::StatusOr<VlImageProcessor> Load(const std::string& folder);

  // `budget` overrides the folder's. InvalidArgument when one side is more than 200 times the
  // other, ResourceExhausted when memory runs out.
  absl::StatusOr<ImagePatches> Process(
      const Image& image, const std::optional<PixelBudget>& budget = std::nullopt) const;

  // Number of tokens that the language model reads for an image of this size: its merge blocks.
  // Estimates the cost of an image before it is decoded.
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
