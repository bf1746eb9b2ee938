// Product pictures of the generated shop, drawn from a product's facts.
//
// A picture shows the kind, color, material and pattern; the style selects one of three forms of
// each kind; pose, size, backdrop and details vary a little between products. The same product and
// options give the same pixels. Thread-safe; about 7 ms per picture of 224 x 224.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const Picture picture, DrawPicture(product));
//   PALATE_ASSIGN_OR_RETURN(const Picture other, DrawPicture(product, {.variation = 1}));
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "offline/demo/shop.h"

namespace palate::demo {

enum class PictureFormat { kJpeg, kPng };

struct PictureOptions {
  int size = 224;  // width and height in pixels, 16 to 2048
  PictureFormat format = PictureFormat::kJpeg;
  int jpeg_quality = 90;   // 1 to 100
  uint64_t variation = 0;  // each number gives another pose and backdrop of the same product
};

// Encoded: 5 to 15 KB as a JPEG of 224 x 224.
struct Picture {
  std::string bytes;
  std::string media_type;  // "image/jpeg" or "image/png"
};

// Raw: [size, size, 3], rows from the top, sRGB.
struct RgbPicture {
  int size = 0;
  std::vector<uint8_t> pixels;
};

// InvalidArgument when an option is out of range or the product's kind, material or color is not in
// the vocabulary; Internal when cairo, libjpeg or libpng fails.
absl::StatusOr<Picture> DrawPicture(const Product& product, const PictureOptions& options = {});
absl::StatusOr<RgbPicture> DrawRgbPicture(const Product& product,
                                          const PictureOptions& options = {});

}  // namespace palate::demo
