// Decodes JPEG, PNG and WebP images to upright RGB pixels. All limits are checked before anything
// is decoded.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(encoded));
//   PALATE_ASSIGN_OR_RETURN(const Image image, DecodeImage(encoded, {.max_pixels = 1'000'000}));
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

// The header of an encoded image. Width and height are as stored, before the EXIF orientation is
// applied.
struct ImageHeader {
  ImageFormat format = ImageFormat::kPng;
  int64_t width = 0;
  int64_t height = 0;
};

// Upright pixels. A value: copyable.
struct Image {
  int64_t width = 0;
  int64_t height = 0;
  // [height, width, 3], sRGB as stored (color profiles are not applied).
  std::vector<uint8_t> rgb = {};
};

// Thread-safe. Reads the header without decoding pixels. InvalidArgument naming the problem: empty
// input, more bytes than the limit, an unsupported format (named if known, such as GIF), a corrupt
// or truncated file, or a declared size of more pixels than the limit.
absl::StatusOr<ImageHeader> ReadImageHeader(absl::string_view encoded,
                                            const ImageLimits& limits = {});

// Thread-safe. Decodes palette, gray, bilevel and 16-bit images to 8-bit RGB, composites
// transparency on white and applies the EXIF orientation. Decodes the default image of an animated
// PNG; animated WebP is not supported. Errors as ReadImageHeader, and ResourceExhausted when memory
// runs out.
absl::StatusOr<Image> DecodeImage(absl::string_view encoded, const ImageLimits& limits = {});

// Encodes as PNG, for tools that create images.
absl::StatusOr<std::string> EncodePng(const Image& image);

}  // namespace palate::models
