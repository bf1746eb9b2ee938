#include "models/image/image.h"

#include <array>
#include <new>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/image/codecs.h"
#include "models/image/exif.h"

namespace palate::models {
namespace {

constexpr absl::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);

struct Signature {
  size_t offset;
  absl::string_view bytes;
  absl::string_view name;
};
// Common formats that we do not read, so that the error can name them.
constexpr std::array<Signature, 13> kUnsupported = {{{0, "GIF8", "GIF"},
                                                     {0, "BM", "BMP"},
                                                     {0, absl::string_view("II*\0", 4), "TIFF"},
                                                     {0, absl::string_view("MM\0*", 4), "TIFF"},
                                                     {4, "ftypavif", "AVIF"},
                                                     {4, "ftypheic", "HEIC"},
                                                     {4, "ftypheix", "HEIC"},
                                                     {4, "ftypmif1", "HEIF"},
                                                     {0, "\xff\x0a", "JPEG XL"},
                                                     {4, "JXL ", "JPEG XL"},
                                                     {0, "<svg", "SVG"},
                                                     {0, "<?xml", "XML or SVG"},
                                                     {0, "%PDF", "PDF"}}};

absl::StatusOr<ImageFormat> DetectFormat(absl::string_view encoded) {
  if (absl::StartsWith(encoded, "version https://git-lfs.github.com/spec/")) {
    return absl::InvalidArgumentError(
        "is a Git LFS pointer, not the picture itself: run \"git lfs pull\" in its repository");
  }
  if (absl::StartsWith(encoded, "\xff\xd8\xff")) return ImageFormat::kJpeg;
  if (absl::StartsWith(encoded, kPngSignature)) return ImageFormat::kPng;
  if (absl::StartsWith(encoded, "RIFF") && encoded.size() >= 12 && encoded.substr(8, 4) == "WEBP")
    return ImageFormat::kWebp;

  for (const Signature& signature : kUnsupported) {
    if (encoded.size() >= signature.offset &&
        absl::StartsWith(encoded.substr(signature.offset), signature.bytes)) {
      return absl::InvalidArgumentError(
          absl::StrCat("is a ", signature.name, " image; supported are JPEG, PNG and WebP"));
    }
  }
  return absl::InvalidArgumentError("is not a JPEG, PNG or WebP image");
}

absl::StatusOr<ImageHeader> ReadHeaderOf(ImageFormat format, absl::string_view encoded) {
  switch (format) {
    case ImageFormat::kJpeg:
      return ReadJpegHeader(encoded);
    case ImageFormat::kPng:
      return ReadPngHeader(encoded);
    case ImageFormat::kWebp:
      return ReadWebpHeader(encoded);
  }
  return absl::InternalError("unknown image format");
}

absl::StatusOr<Image> DecodeAs(const ImageHeader& header, absl::string_view encoded) {
  switch (header.format) {
    case ImageFormat::kJpeg:
      return DecodeJpeg(encoded, header);
    case ImageFormat::kPng:
      return DecodePng(encoded, header);
    case ImageFormat::kWebp:
      return DecodeWebp(encoded, header);
  }
  return absl::InternalError("unknown image format");
}

}  // namespace

absl::string_view ImageFormatName(ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg:
      return "JPEG";
    case ImageFormat::kPng:
      return "PNG";
    case ImageFormat::kWebp:
      return "WebP";
  }
  return "";
}

absl::string_view ImageMediaType(ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg:
      return "image/jpeg";
    case ImageFormat::kPng:
      return "image/png";
    case ImageFormat::kWebp:
      return "image/webp";
  }
  return "";
}

absl::StatusOr<ImageHeader> ReadImageHeader(absl::string_view encoded, const ImageLimits& limits) {
  if (encoded.empty()) return absl::InvalidArgumentError("is empty");
  if (encoded.size() > limits.max_encoded_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", encoded.size(), " bytes, at most ", limits.max_encoded_bytes));
  }

  PALATE_ASSIGN_OR_RETURN(const ImageFormat format, DetectFormat(encoded));
  PALATE_ASSIGN_OR_RETURN(const ImageHeader header, ReadHeaderOf(format, encoded));

  if (header.width < 1 || header.height < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("declares ", header.width, " x ", header.height, " pixels"));
  }

  // Divide, because the product of two 32-bit sides may overflow.
  if (header.width > limits.max_pixels / header.height) {
    return absl::InvalidArgumentError(absl::StrCat("declares ", header.width, " x ", header.height,
                                                   " pixels, at most ", limits.max_pixels,
                                                   " in all"));
  }
  return header;
}

absl::StatusOr<Image> DecodeImage(absl::string_view encoded, const ImageLimits& limits) {
  PALATE_ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(encoded, limits));
  try {
    PALATE_ASSIGN_OR_RETURN(Image image, DecodeAs(header, encoded));
    return ApplyOrientation(std::move(image), ReadExifOrientation(encoded, header.format));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        absl::StrCat("out of memory for ", header.width, " x ", header.height, " pixels"));
  }
}

}  // namespace palate::models
