// Encoded pictures (JPEG, PNG, WebP) to upright RGB pixels, with every limit checked before
// anything is decoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::models {

struct ImageLimits {
  int64_t max_pixels = 40'000'000;  // width times height, as declared by the header
  size_t max_encoded_bytes = 16u << 20;
};

enum class ImageFormat { kJpeg, kPng, kWebp };
absl::string_view ImageFormatName(ImageFormat format);  // "JPEG"
absl::string_view ImageMediaType(ImageFormat format);   // "image/jpeg"

// What the header says, without decoding. Width and height are as stored, before the EXIF
// orientation; the area is the same.
struct ImageHeader {
  ImageFormat format = ImageFormat::kPng;
  int64_t width = 0;
  int64_t height = 0;
};

// Upright pixels. A value: copyable.
struct Image {
  int64_t width = 0;
  int64_t height = 0;
  std::vector<uint8_t> rgb =
      {};  // [height, width, 3], sRGB as stored (color profiles are not applied)
};

// Both functions are thread-safe and fail with InvalidArgument that says what is wrong: empty, over
// the byte limit, an unsupported format (named when it is a known one, such as GIF), a corrupt or
// truncated file, or more pixels than the limit, with the declared size.
absl::StatusOr<ImageHeader> ReadImageHeader(absl::string_view encoded,
                                            const ImageLimits& limits = {});

// Palette, gray, bilevel and 16-bit images become 8-bit RGB; transparency is composited on white;
// the EXIF orientation is applied. An animated PNG gives its default image; animated WebP is
// refused. ResourceExhausted when memory is short.
absl::StatusOr<Image> DecodeImage(absl::string_view encoded, const ImageLimits& limits = {});

// Encodes as PNG, for tools that make pictures.
absl::StatusOr<std::string> EncodePng(const Image& image);

}  // namespace palate::models
