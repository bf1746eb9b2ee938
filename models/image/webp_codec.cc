#include <webp/decode.h>

#include "models/image/codecs.h"

namespace palate::models {
namespace {

const uint8_t* Bytes(absl::string_view encoded) {
  return reinterpret_cast<const uint8_t*>(encoded.data());
}

absl::Status Corrupt() { return absl::InvalidArgumentError("is a corrupt or truncated WebP"); }

}  // namespace

absl::StatusOr<ImageHeader> ReadWebpHeader(absl::string_view encoded) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(Bytes(encoded), encoded.size(), &features) != VP8_STATUS_OK) return Corrupt();
  if (features.has_animation != 0)
    return absl::InvalidArgumentError("is an animated WebP; only still images are supported");
  return ImageHeader{
      .format = ImageFormat::kWebp, .width = features.width, .height = features.height};
}

absl::StatusOr<Image> DecodeWebp(absl::string_view encoded, const ImageHeader& header) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(Bytes(encoded), encoded.size(), &features) != VP8_STATUS_OK) return Corrupt();

  const bool has_alpha = features.has_alpha != 0;
  const size_t row_bytes = static_cast<size_t>(header.width) * (has_alpha ? 4 : 3);
  std::vector<uint8_t> pixels(row_bytes * static_cast<size_t>(header.height));

  const auto decode = has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (decode(Bytes(encoded), encoded.size(), pixels.data(), pixels.size(),
             static_cast<int>(row_bytes)) == nullptr)
    return Corrupt();

  if (has_alpha) return CompositeOnWhite(pixels, header.width, header.height);
  return Image{.width = header.width, .height = header.height, .rgb = std::move(pixels)};
}

}  // namespace palate::models
