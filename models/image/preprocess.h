// What all image processors share: the reading of their file, the resizing of pixels, and the scale
// of the values. Internal to models/image.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/checkpoint/json_config.h"
#include "models/image/image.h"

namespace palate::models {

enum class Resample { kBilinear, kBicubic };
// Its number in the file (Pillow's).
constexpr int ResampleCode(Resample resample) { return resample == Resample::kBilinear ? 2 : 3; }

struct ImageSize {
  int64_t height = 0;
  int64_t width = 0;
};

// The longest side over the shortest, at most.
inline constexpr double kMaxAspect = 200.0;

// Mean and deviation with which the first CLIP was trained; the defaults of several processors.
inline constexpr std::array<double, 3> kClipMean = {0.48145466, 0.4578275, 0.40821073};
inline constexpr std::array<double, 3> kClipStd = {0.26862954, 0.26130258, 0.27577711};

// How a byte of a channel becomes the model's value.
struct PixelScale {
  bool do_rescale = true;
  double rescale_factor = 1.0 / 255.0;
  bool do_normalize = true;
  std::array<double, 3> mean = {0, 0, 0};
  std::array<double, 3> std = {1, 1, 1};

  // Reads the keys that are there: do_rescale, rescale_factor, do_normalize, image_mean, image_std.
  absl::Status Read(const JsonConfig& json);
  absl::Status Validate() const;
  // The value of every byte of `channel`.
  std::array<float, 256> Table(size_t channel) const;
};

// The image processor's settings of a model folder: "image_processor" of processor_config.json, or
// preprocessor_config.json. Where neither names a type, "image_processor_type" is what the
// model_type of config.json goes with. NotFound when there is no such file.
absl::StatusOr<JsonConfig> LoadProcessorJson(const std::string& folder);

// "CLIP" for CLIPImageProcessor, CLIPImageProcessorFast and CLIPFeatureExtractor; empty when the
// settings name no type.
std::string ProcessorType(const JsonConfig& json);

// "resample", when it is there. Unimplemented for filters other than these two.
absl::Status ReadResample(const JsonConfig& json, Resample& resample);

// InvalidArgument unless the image has as many pixels as its size says, and at least one.
absl::Status CheckPixels(const Image& image);

// uint8 [1, 3, height, width] over the image's own memory, which must outlive the tensor; channels
// last in memory.
at::Tensor PixelsOf(const Image& image);

// uint8 [1, 3, size.height, size.width], with antialiasing; `pixels` itself when it has that size.
at::Tensor ResizePixels(const at::Tensor& pixels, const ImageSize& size, Resample resample);

}  // namespace palate::models
