// Converts pixels to a model's input tensor as preprocessor_config.json specifies: resize, center
// crop, rescale, normalize.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const ImageProcessor processor, ImageProcessor::Load(folder));
//   PALATE_ASSIGN_OR_RETURN(const Image image, DecodeImage(encoded));
//   PALATE_ASSIGN_OR_RETURN(const at::Tensor pixels, processor.Process(image));
//
// Follows the reference's default (torchvision) backend, which resizes uint8 with antialiasing and
// rounds to uint8 before normalizing. Supports ViT, CLIP and SigLIP processors (fixed output size).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
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
  // Either resize to this height and width…
  int64_t resize_height = 0;
  int64_t resize_width = 0;
  // …or scale the shorter side to this length, keeping the aspect ratio (0 when height and width
  // are set).
  int64_t shortest_edge = 0;
  Resample resample = Resample::kBicubic;

  bool do_center_crop = false;  // pads with black if the image is smaller than the crop
  int64_t crop_height = 0;
  int64_t crop_width = 0;

  // Reads preprocessor_config.json. Absent keys get the defaults of the image_processor_type (or
  // feature_extractor_type). Unimplemented naming the type when it is not supported, or the setting
  // that is not.
  static absl::StatusOr<ImageProcessorConfig> FromJson(const JsonConfig& json);
  // The file for a ViTImageProcessor with these settings. REQUIRES: resizes to height and width, no
  // crop.
  nlohmann::json ToJson() const;
};

// Immutable; thread-safe. Uses no parallel kernels except the antialiased resize, which is
// single-threaded for one image, so any thread may call it.
class ImageProcessor {
 public:
  static absl::StatusOr<ImageProcessor> Create(const ImageProcessorConfig& config);
  // Reads preprocessor_config.json of `folder`, or "image_processor" of its processor_config.json.
  static absl::StatusOr<ImageProcessor> Load(const std::string& folder);

  // Returns float32 [3, height, width]. InvalidArgument when the shorter side is resized and the
  // other is more than 200 times as long, ResourceExhausted when memory runs out.
  absl::StatusOr<at::Tensor> Process(const Image& image) const;
  const ImageProcessorConfig& config() const { return config_; }

 private:
  explicit ImageProcessor(const ImageProcessorConfig& config) : config_(config) {}
  ImageProcessorConfig config_;
};

}  // namespace palate::models
