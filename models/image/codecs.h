// The readers of the three formats, each over its C library. Internal to models/image: image.h
// checks the limits and selects the reader.
//
// Header functions decode nothing. Decoders may throw std::bad_alloc and otherwise fail with
// InvalidArgument.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/image/image.h"

namespace palate::models {

absl::StatusOr<ImageHeader> ReadJpegHeader(absl::string_view encoded);
absl::StatusOr<Image> DecodeJpeg(absl::string_view encoded, const ImageHeader& header);

absl::StatusOr<ImageHeader> ReadPngHeader(absl::string_view encoded);
absl::StatusOr<Image> DecodePng(absl::string_view encoded, const ImageHeader& header);

absl::StatusOr<ImageHeader> ReadWebpHeader(absl::string_view encoded);
absl::StatusOr<Image> DecodeWebp(absl::string_view encoded, const ImageHeader& header);

// Composites `width` x `height` RGBA pixels on white.
Image CompositeOnWhite(const std::vector<uint8_t>& rgba, int64_t width, int64_t height);

}  // namespace palate::models
