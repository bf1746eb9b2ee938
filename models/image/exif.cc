#include "models/image/exif.h"

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace palate::models {
namespace {

constexpr uint16_t kOrientationTag = 0x0112;
constexpr absl::string_view kExifPrefix("Exif\0\0", 6);
constexpr absl::string_view kXmpPrefix("http://ns.adobe.com/xap/1.0/\0", 29);
constexpr absl::string_view kXmpKeyword("XML:com.adobe.xmp\0", 18);

// Sizes of a TIFF entry's integer types. The orientation should be SHORT; writers also use others.
size_t SizeOfInteger(uint16_t type) {
  switch (type) {
    case 6:  // SBYTE
      return 1;
    case 3:  // SHORT
    case 8:  // SSHORT
      return 2;
    case 4:   // LONG
    case 9:   // SLONG
    case 13:  // IFD
      return 4;
    default:
      return 0;
  }
}

// The metadata blocks of a file that can hold an orientation; empty without them.
struct Metadata {
  absl::string_view tiff;  // EXIF
  absl::string_view xmp;
};

// Reads integers of either byte order. Reads out of range return 0, which no caller accepts as
// valid.
class ByteReader {
 public:
  ByteReader(absl::string_view bytes, bool little_endian)
      : bytes_(bytes), little_endian_(little_endian) {}

  uint8_t U8(size_t at) const { return static_cast<uint8_t>(Read(at, 1)); }
  uint16_t U16(size_t at) const { return static_cast<uint16_t>(Read(at, 2)); }
  uint32_t U32(size_t at) const { return static_cast<uint32_t>(Read(at, 4)); }
  uint64_t Read(size_t at, size_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) return 0;

    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      const size_t index = little_endian_ ? at + size - 1 - i : at + i;
      value = value << 8 | static_cast<uint8_t>(bytes_[index]);
    }
    return value;
  }

 private:
  const absl::string_view bytes_;
  const bool little_endian_;
};

// The value of an entry: type, count, and the values, or their offset when they need more than
// four bytes. 0 for types that hold no integers.
uint64_t ValueOfEntry(const ByteReader& reader, size_t entry) {
  const size_t size = SizeOfInteger(reader.U16(entry + 2));
  const uint64_t count = reader.U32(entry + 4);
  if (size == 0 || count == 0) return 0;
  return reader.Read(size * count > 4 ? reader.U32(entry + 8) : entry + 8, size);
}

// The orientation in a TIFF block, which consists of byte order, 42, the offset of the first
// directory, and that directory: a count and 12-byte entries. 0 when it has none.
int OrientationOfTiff(absl::string_view tiff) {
  if (tiff.size() < 8) return 0;
  const bool little_endian = absl::StartsWith(tiff, "II");
  if (!little_endian && !absl::StartsWith(tiff, "MM")) return 0;

  const ByteReader reader(tiff, little_endian);
  if (reader.U16(2) != 42) return 0;
  const size_t directory = reader.U32(4);
  const size_t entries = reader.U16(directory);

  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.size()) return 0;
    if (reader.U16(entry) != kOrientationTag) continue;
    const uint64_t value = ValueOfEntry(reader, entry);
    // A value that means nothing counts as upright, so that XMP does not override it.
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 0;
}

// The digit of tiff:Orientation="6" or <tiff:Orientation>6</tiff:Orientation>; 0 when there is
// none.
int OrientationOfXmp(absl::string_view xmp) {
  constexpr absl::string_view kName = "tiff:Orientation";
  for (size_t at = xmp.find(kName); at != absl::string_view::npos; at = xmp.find(kName, at + 1)) {
    absl::string_view value = xmp.substr(at + kName.size());
    if (!absl::ConsumePrefix(&value, "=\"") && !absl::ConsumePrefix(&value, ">")) continue;
    if (!value.empty() && value[0] >= '0' && value[0] <= '9') return value[0] - '0';
  }
  return 0;
}

absl::string_view WithoutExifPrefix(absl::string_view block) {
  return absl::StartsWith(block, kExifPrefix) ? block.substr(kExifPrefix.size()) : block;
}

bool HasNoLength(uint8_t marker) {
  return marker == 0x00 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8);
}

// The first APP1 segments that hold EXIF and XMP. Before a marker there may be fill bytes (0xFF),
// and bytes that belong to nothing.
Metadata MetadataOfJpeg(absl::string_view file) {
  const ByteReader reader(file, /*little_endian=*/false);
  Metadata found;
  size_t at = 2;
  while (at + 4 <= file.size()) {
    const uint8_t marker = reader.U8(at + 1);
    if (reader.U8(at) != 0xFF || marker == 0xFF) {
      ++at;
      continue;
    }
    if (HasNoLength(marker)) {
      at += 2;
      continue;
    }

    const size_t length = reader.U16(at + 2);
    const bool pixels_follow = marker == 0xDA || marker == 0xD9;
    if (pixels_follow || length < 2 || at + 2 + length > file.size()) break;

    const absl::string_view content = file.substr(at + 4, length - 2);
    if (marker == 0xE1 && found.tiff.empty() && absl::StartsWith(content, kExifPrefix))
      found.tiff = WithoutExifPrefix(content);
    if (marker == 0xE1 && found.xmp.empty() && absl::StartsWith(content, kXmpPrefix))
      found.xmp = content.substr(kXmpPrefix.size());
    at += 2 + length;
  }
  return found;
}

// A PNG chunk is length, type, content, checksum. XMP stands in an iTXt chunk that is not
// compressed.
Metadata MetadataOfPng(absl::string_view file) {
  const ByteReader reader(file, /*little_endian=*/false);
  Metadata found;
  size_t at = 8;
  while (at + 12 <= file.size()) {
    const size_t length = reader.U32(at);
    if (length > file.size() - at - 12) break;

    const absl::string_view content = file.substr(at + 8, length);
    if (file.substr(at + 4, 4) == "eXIf" && found.tiff.empty())
      found.tiff = WithoutExifPrefix(content);
    if (file.substr(at + 4, 4) == "iTXt" && absl::StartsWith(content, kXmpKeyword))
      found.xmp = content;
    at += 12 + length;
  }
  return found;
}

// A RIFF chunk is type, length, content padded to an even length.
Metadata MetadataOfWebp(absl::string_view file) {
  const ByteReader reader(file, /*little_endian=*/true);
  Metadata found;
  size_t at = 12;
  while (at + 8 <= file.size()) {
    const size_t length = reader.U32(at + 4);
    if (length > file.size() - at - 8) break;

    const absl::string_view content = file.substr(at + 8, length);
    if (file.substr(at, 4) == "EXIF" && found.tiff.empty()) found.tiff = WithoutExifPrefix(content);
    if (file.substr(at, 4) == "XMP " && found.xmp.empty()) found.xmp = content;
    at += 8 + length + (length & 1);
  }
  return found;
}

Metadata MetadataOf(absl::string_view encoded, ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg:
      return MetadataOfJpeg(encoded);
    case ImageFormat::kPng:
      return MetadataOfPng(encoded);
    case ImageFormat::kWebp:
      return MetadataOfWebp(encoded);
  }
  return {};
}

}  // namespace

int ReadExifOrientation(absl::string_view encoded, ImageFormat format) {
  const Metadata metadata = MetadataOf(encoded, format);
  int orientation = OrientationOfTiff(metadata.tiff);
  if (orientation == 0) orientation = OrientationOfXmp(metadata.xmp);
  return orientation >= 1 && orientation <= 8 ? orientation : 1;
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
