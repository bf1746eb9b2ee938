#include "models/image/codecs.h"

namespace palate::models {
namespace {

constexpr uint32_t kPrecisionBits = 7;
constexpr uint32_t kWhite = 255;

// The integer arithmetic of the reference (Pillow's alpha_composite over an opaque background), so
// that the bytes are equal.
uint8_t OverWhite(uint32_t color, uint32_t alpha) {
  const uint32_t weight = alpha << kPrecisionBits;
  const uint32_t rest = (kWhite << kPrecisionBits) - weight;
  const uint32_t sum = color * weight + kWhite * rest + (0x80u << kPrecisionBits);
  return static_cast<uint8_t>((((sum >> 8) + sum) >> 8) >> kPrecisionBits);
}

}  // namespace

Image CompositeOnWhite(const std::vector<uint8_t>& rgba, int64_t width, int64_t height) {
  Image image{.width = width, .height = height};
  image.rgb.resize(rgba.size() / 4 * 3);
  for (size_t i = 0; i < rgba.size() / 4; ++i) {
    for (size_t c = 0; c < 3; ++c)
      image.rgb[3 * i + c] = OverWhite(rgba[4 * i + c], rgba[4 * i + 3]);
  }
  return image;
}

}  // namespace palate::models
