// Shared by all image processors: reads their settings, resizes pixels, and scales values. Internal
// to models/image.
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
// Its number in the file, which is Pillow's.
constexpr int ResampleCode(Resample resample) { return resample == Resample::kBilinear ? 2 : 3; }

struct ImageSize {
  int64_t height = 0;
  int64_t width = 0;
};

// Maximum ratio of the longer side to the shorter one.
inline constexpr double kMaxAspect = 200.0;

// Mean and deviation that the first CLIP was trained with; the default of several processors.
inline constexpr std::array<double, 3> kClipMean = {0.48145466, 0.4578275, 0.40821073};
inline constexpr std::array<double, 3> kClipStd = {0.26862954, 0.26130258, 0.27577711};

// Converts a byte of a channel to the model's value.
struct PixelScale {
  bool do_rescale = true;
  double rescale_factor = 1.0 / 255.0;
  bool do_normalize = true;
  std::array<double, 3> mean = {0, 0, 0};
  std::array<double, 3> std = {1, 1, 1};

  // Reads the keys that are present: do_rescale, rescale_factor, do_normalize, image_mean,
  // image_std.
  absl::Status Read(const JsonConfig& json);
  absl::Status Validate() const;
  // The values of all 256 bytes of `channel`.
  std::array<float, 256> Table(size_t channel) const;
};

// The image processor's settings in a model folder: "image_processor" of processor_config.json, or
// preprocessor_config.json. If they name no type, "image_processor_type" is set by the model_type
// of config.json. NotFound when there is no such file.
absl::StatusOr<JsonConfig> LoadProcessorJson(const std::string& folder);

// The type without its suffix: "CLIP" for CLIPImageProcessor, CLIPImageProcessorFast and
// CLIPFeatureExtractor. Empty when the settings name none.
std::string ProcessorType(const JsonConfig& json);

// Reads "resample" if present. Unimplemented for filters other than these two.
absl::Status ReadResample(const JsonConfig& json, Resample& resample);

// InvalidArgument unless the image has at least one pixel, and as many as its size declares.
absl::Status CheckPixels(const Image& image);

// uint8 [1, 3, height, width], channels last in memory. A view of the image's memory, which must
// outlive the tensor.
at::Tensor PixelsOf(const Image& image);

// Resizes with antialiasing to uint8 [1, 3, size.height, size.width]; returns `pixels` if it has
// that size.
at::Tensor ResizePixels(const at::Tensor& pixels, const ImageSize& size, Resample resample);

}  // namespace palate::models
