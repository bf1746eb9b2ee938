// Pixels to a model's input tensor, as preprocessor_config.json says: resize, center crop, rescale,
// normalize.
//
// Follows the reference's default (torchvision) backend: resizing uint8 with antialiasing, which
// rounds to uint8 before normalizing. Serves ViT, CLIP and SigLIP style processors (fixed output
// size).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/checkpoint/json_config.h"
#include "models/image/image.h"
#include "models/image/preprocess.h"

namespace palate::models {

struct ImageProcessorConfig : PixelScale {
  using Resample = models::Resample;

  bool do_resize = true;
  // Exactly one way to resize: to this height and width…
  int64_t resize_height = 0;
  int64_t resize_width = 0;
  // …or the shorter side to this length, keeping the aspect (0 when height and width are set).
  int64_t shortest_edge = 0;
  Resample resample = Resample::kBicubic;

  bool do_center_crop = false;  // pads with black where the image is smaller than the crop
  int64_t crop_height = 0;
  int64_t crop_width = 0;

  // Reads preprocessor_config.json. Keys that the file leaves out get the values that its
  // image_processor_type (or feature_extractor_type) defines; Unimplemented naming the type when it
  // is not of the kinds above, or what else is not computed.
  static absl::StatusOr<ImageProcessorConfig> FromJson(const JsonConfig& json);
  // The file for a ViTImageProcessor with these settings; requires a resize to height and width
  // without a crop.
  nlohmann::json ToJson() const;
};

// Immutable; thread-safe. Apart from the antialiased resize itself, which is single-threaded for
// one image, it runs no parallel kernels, so that it may be called from any thread.
class ImageProcessor {
 public:
  static absl::StatusOr<ImageProcessor> Create(const ImageProcessorConfig& config);
  // Reads preprocessor_config.json of `folder`, or the image processor in its
  // processor_config.json.
  static absl::StatusOr<ImageProcessor> Load(const std::string& folder);

  // float32 [3, height, width]. InvalidArgument when the resized image would be absurd (more than
  // 200 times longer than wide at a shortest_edge), ResourceExhausted when memory is short.
  absl::StatusOr<at::Tensor> Process(const Image& image) const;
  const ImageProcessorConfig& config() const { return config_; }

 private:
  explicit ImageProcessor(const ImageProcessorConfig& config) : config_(config) {}
  ImageProcessorConfig config_;
};

}  // namespace palate::models
