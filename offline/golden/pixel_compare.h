// Comparisons of decoded and processed pixels.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <string>

#include "models/image/image.h"
#include "models/image/processor.h"
#include "offline/golden/report.h"

namespace palate::golden {

// uint8 [height, width, 3], a copy.
at::Tensor PixelTensor(const models::Image& image);
// The reverse.
models::Image ImageOfPixels(const at::Tensor& pixels);

// The size of one gray level in each channel of the processor's output.
std::array<double, 3> GrayLevels(const models::ImageProcessorConfig& config);

// Adds one check: processed pixels, float [n, 3, height, width], against those of the reference's
// other backend. That backend resizes with another library and puts the larger half of a crop's odd
// padding first. At least 99.5% of the values must be within one gray level, and all within 13.
void CompareOtherBackend(Report& report, const std::string& what, const at::Tensor& actual,
                         const at::Tensor& expected, const models::ImageProcessorConfig& config);

}  // namespace palate::golden
