#include "offline/golden/pixel_compare.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"

namespace palate::golden {
namespace {

constexpr double kShareWithinOneLevel = 0.995;
constexpr double kMostLevels = 13;
constexpr double kRounding = 1e-3;  // of a level, for float32 on both sides

struct Deviation {
  double share_within_one = 0;
  double most_levels = 0;
};

Deviation Measure(const at::Tensor& actual, const at::Tensor& expected, const at::Tensor& levels) {
  const at::Tensor difference = (actual.to(at::kDouble) - expected.to(at::kDouble)).abs() / levels;
  return {difference.le(1 + kRounding).to(at::kDouble).mean().item<double>(),
          difference.max().item<double>()};
}

// Measures `actual` shifted by whole pixels against `expected`, both cut to their overlap.
Deviation MeasureShifted(const at::Tensor& actual, const at::Tensor& expected,
                         const at::Tensor& levels, int64_t down, int64_t right) {
  const int64_t height = actual.size(-2) - down;
  const int64_t width = actual.size(-1) - right;
  return Measure(actual.narrow(-2, 0, height).narrow(-1, 0, width),
                 expected.narrow(-2, down, height).narrow(-1, right, width), levels);
}

}  // namespace

at::Tensor PixelTensor(const models::Image& image) {
  at::Tensor pixels = at::empty({image.height, image.width, 3}, at::kByte);
  std::memcpy(pixels.data_ptr<uint8_t>(), image.rgb.data(), image.rgb.size());
  return pixels;
}

models::Image ImageOfPixels(const at::Tensor& pixels) {
  const at::Tensor flat = pixels.contiguous();
  models::Image image{.width = pixels.size(1), .height = pixels.size(0)};
  image.rgb.assign(flat.const_data_ptr<uint8_t>(), flat.const_data_ptr<uint8_t>() + flat.numel());
  return image;
}

std::array<double, 3> GrayLevels(const models::ImageProcessorConfig& config) {
  std::array<double, 3> levels = {1, 1, 1};
  for (size_t c = 0; c < levels.size(); ++c) {
    if (config.do_rescale) levels[c] *= config.rescale_factor;
    if (config.do_normalize) levels[c] /= config.std[c];
  }
  return levels;
}

void CompareOtherBackend(Report& report, const std::string& what, const at::Tensor& actual,
                         const at::Tensor& expected, const models::ImageProcessorConfig& config) {
  if (actual.sizes() != expected.sizes()) {
    report.Add(false, what, "the shapes differ");
    return;
  }

  const std::array<double, 3> per_channel = GrayLevels(config);
  const at::Tensor levels =
      at::tensor(std::vector<double>(per_channel.begin(), per_channel.end()), at::kDouble)
          .view({3, 1, 1});

  Deviation best = Measure(actual, expected, levels);
  // Only a crop pads, so only then may the backends differ by a row or a column.
  for (int shift = 1; shift < 4 && config.do_center_crop; ++shift) {
    const Deviation shifted = MeasureShifted(actual, expected, levels, shift & 1, shift >> 1);
    if (shifted.most_levels < best.most_levels) best = shifted;
  }

  report.Add(
      best.share_within_one >= kShareWithinOneLevel && best.most_levels <= kMostLevels, what,
      absl::StrFormat(
          "%.2f%% within one gray level (at least %.1f%%), all within %.1f (at most %.0f)",
          100 * best.share_within_one, 100 * kShareWithinOneLevel, best.most_levels, kMostLevels));
}

}  // namespace palate::golden
