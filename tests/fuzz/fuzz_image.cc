// Fuzzes the image decoder with arbitrary bytes as a JPEG, PNG or WebP picture with EXIF data. A
// decoded picture must have the size that its header declares, within the limits.

#include <cstdint>

#include "absl/strings/string_view.h"
#include "models/image/exif.h"
#include "models/image/image.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace palate::models;
  // Small limits, so that most time is spent on the decoder's branches instead of on pixels.
  constexpr ImageLimits kLimits = {.max_pixels = 1 << 18, .max_encoded_bytes = 1u << 20};
  const absl::string_view encoded(reinterpret_cast<const char*>(data), size);

  for (const ImageFormat format : {ImageFormat::kJpeg, ImageFormat::kPng, ImageFormat::kWebp}) {
    const int orientation = ReadExifOrientation(encoded, format);
    FUZZ_CHECK(orientation >= 1 && orientation <= 8);
  }

  const absl::StatusOr<ImageHeader> header = ReadImageHeader(encoded, kLimits);
  const absl::StatusOr<Image> image = DecodeImage(encoded, kLimits);

  if (!header.ok()) {
    FUZZ_CHECK(!image.ok());
    return 0;
  }

  FUZZ_CHECK(header->width > 0 && header->height > 0 &&
             header->width * header->height <= kLimits.max_pixels);
  if (!image.ok()) return 0;

  FUZZ_CHECK(image->width * image->height == header->width * header->height);
  FUZZ_CHECK(image->width == header->width || image->width == header->height);
  FUZZ_CHECK(image->rgb.size() == static_cast<size_t>(image->width * image->height * 3));

  return 0;
}
