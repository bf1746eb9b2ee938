#include "models/image/exif.h"

#include <cstdint>

#include "absl/strings/match.h"

namespace palate::models {
namespace {

constexpr uint16_t kOrientationTag = 0x0112;
constexpr uint16_t kShortType = 3;
constexpr absl::string_view kExifPrefix("Exif\0\0", 6);

// Reads integers of either byte order. Reads out of range return 0, which no caller accepts as
// valid.
class ByteReader {
 public:
  ByteReader(absl::string_view bytes, bool little_endian)
      : bytes_(bytes), little_endian_(little_endian) {}

  uint16_t U16(size_t at) const { return static_cast<uint16_t>(Read(at, 2)); }
  uint32_t U32(size_t at) const { return static_cast<uint32_t>(Read(at, 4)); }

 private:
  uint64_t Read(size_t at, size_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) return 0;

    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      const size_t index = little_endian_ ? at + size - 1 - i : at + i;
      value = value << 8 | static_cast<uint8_t>(bytes_[index]);
    }
    return value;
  }

  const absl::string_view bytes_;
  const bool little_endian_;
};

// The orientation in a TIFF block, which consists of byte order, 42, the offset of the first
// directory, and that directory: a count and 12-byte entries.
int OrientationOfTiff(absl::string_view tiff) {
  if (tiff.size() < 8) return 1;
  const bool little_endian = absl::StartsWith(tiff, "II");
  if (!little_endian && !absl::StartsWith(tiff, "MM")) return 1;

  const ByteReader reader(tiff, little_endian);
  if (reader.U16(2) != 42) return 1;
  const size_t directory = reader.U32(4);
  const size_t entries = reader.U16(directory);

  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.size()) return 1;
    if (reader.U16(entry) != kOrientationTag) continue;
    const int value = reader.U16(entry + 8);
    return reader.U16(entry + 2) == kShortType && value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

absl::string_view WithoutExifPrefix(absl::string_view block) {
  return absl::StartsWith(block, kExifPrefix) ? block.substr(kExifPrefix.size()) : block;
}

// The TIFF block in the first APP1 segment that contains EXIF.
absl::string_view ExifOfJpeg(absl::string_view file) {
  const ByteReader reader(file, /*little_endian=*/false);
  size_t at = 2;
  while (at + 4 <= file.size()) {
    const uint16_t marker = reader.U16(at);
    const size_t length = reader.U16(at + 2);
    const bool metadata_is_over = marker < 0xFF01 || marker == 0xFFDA;
    if (metadata_is_over || length < 2 || at + 2 + length > file.size()) return {};

    const absl::string_view content = file.substr(at + 4, length - 2);
    if (marker == 0xFFE1 && absl::StartsWith(content, kExifPrefix))
      return WithoutExifPrefix(content);
    at += 2 + length;
  }
  return {};
}

// A PNG chunk is length, type, content, checksum.
absl::string_view ExifOfPng(absl::string_view file) {
  const ByteReader reader(file, /*little_endian=*/false);
  size_t at = 8;
  while (at + 12 <= file.size()) {
    const size_t length = reader.U32(at);
    if (length > file.size() - at - 12) return {};

    if (file.substr(at + 4, 4) == "eXIf") return WithoutExifPrefix(file.substr(at + 8, length));
    at += 12 + length;
  }
  return {};
}

// A RIFF chunk is type, length, content padded to an even length.
absl::string_view ExifOfWebp(absl::string_view file) {
  const ByteReader reader(file, /*little_endian=*/true);
  size_t at = 12;
  while (at + 8 <= file.size()) {
    const size_t length = reader.U32(at + 4);
    if (length > file.size() - at - 8) return {};

    if (file.substr(at, 4) == "EXIF") return WithoutExifPrefix(file.substr(at + 8, length));
    at += 8 + length + (length & 1);
  }
  return {};
}

}  // namespace

int ReadExifOrientation(absl::string_view encoded, ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg:
      return OrientationOfTiff(ExifOfJpeg(encoded));
    case ImageFormat::kPng:
      return OrientationOfTiff(ExifOfPng(encoded));
    case ImageFormat::kWebp:
      return OrientationOfTiff(ExifOfWebp(encoded));
  }
  return 1;
}

Image ApplyOrientation(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const bool swaps_axes = orientation >= 5;
  Image upright;
  upright.width = swaps_axes ? image.height : image.width;
  upright.height = swaps_axes ? image.width : image.height;
  upright.rgb.resize(image.rgb.size());

  // Whether upright positions read stored rows from the bottom, and stored columns from the right.
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;

  uint8_t* out = upright.rgb.data();
  for (int64_t y = 0; y < upright.height; ++y) {
    for (int64_t x = 0; x < upright.width; ++x) {
      int64_t row = swaps_axes ? x : y;
      int64_t column = swaps_axes ? y : x;
      if (from_bottom) row = image.height - 1 - row;
      if (from_right) column = image.width - 1 - column;
      const uint8_t* in = image.rgb.data() + 3 * (row * image.width + column);
      *out++ = in[0];
      *out++ = in[1];
      *out++ = in[2];
    }
  }

  return upright;
}

}  // namespace palate::models
