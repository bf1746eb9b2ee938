#include "featurestore/items/image_properties.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"

namespace palate::featurestore {
namespace {

constexpr absl::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);
constexpr absl::string_view kPngEndChunk("IEND", 4);
constexpr absl::string_view kJpegStart("\xff\xd8\xff", 3);
constexpr absl::string_view kJpegEnd("\xff\xd9", 2);

uint32_t BigEndian(absl::string_view bytes, size_t offset, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return value;
}

uint32_t LittleEndian(absl::string_view bytes, size_t offset, int count) {
  uint32_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return value;
}

absl::Status Damaged(absl::string_view what) { return absl::InvalidArgumentError(what); }

absl::StatusOr<ImageProperties> Checked(absl::string_view media_type, uint32_t width,
                                        uint32_t height) {
  if (width == 0 || height == 0 || width > INT32_MAX || height > INT32_MAX) {
    return Damaged(absl::StrCat(media_type, " declares ", width, " x ", height, " pixels"));
  }
  return ImageProperties{std::string(media_type), static_cast<int>(width),
                         static_cast<int>(height)};
}

// Signature, IHDR (length 13, width, height), further chunks of length, type, data and checksum,
// IEND.
absl::StatusOr<ImageProperties> ReadPng(absl::string_view bytes) {
  constexpr size_t kHeaderEnd = 33;
  if (bytes.size() < kHeaderEnd || bytes.substr(12, 4) != "IHDR")
    return Damaged("PNG without its header chunk");
  size_t at = 8;
  while (true) {
    if (bytes.size() - at < 12) return Damaged("PNG is truncated");
    const uint64_t length = BigEndian(bytes, at, 4);
    if (length > bytes.size() - at - 12) return Damaged("PNG is truncated");
    if (bytes.substr(at + 4, 4) == kPngEndChunk) break;
    at += 12 + length;
  }
  return Checked("image/png", BigEndian(bytes, 16, 4), BigEndian(bytes, 20, 4));
}

bool IsStartOfFrame(uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

// Segments of 0xFF, marker, length up to the frame header: length, precision, height, width.
absl::StatusOr<ImageProperties> ReadJpeg(absl::string_view bytes) {
  if (bytes.rfind(kJpegEnd) == absl::string_view::npos) return Damaged("JPEG is truncated");
  size_t at = 2;
  while (at + 4 <= bytes.size()) {
    if (bytes[at] != '\xff') return Damaged("JPEG with a damaged segment");
    const uint8_t marker = static_cast<uint8_t>(bytes[at + 1]);

    if (marker == 0xFF) {  // fill byte
      ++at;
      continue;
    }
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7)) {  // without a length
      at += 2;
      continue;
    }

    const size_t length = BigEndian(bytes, at + 2, 2);
    if (length < 2 || at + 2 + length > bytes.size()) return Damaged("JPEG is truncated");
    if (IsStartOfFrame(marker)) {
      if (length < 8) return Damaged("JPEG with a damaged frame header");
      return Checked("image/jpeg", BigEndian(bytes, at + 7, 2), BigEndian(bytes, at + 5, 2));
    }
    if (marker == 0xDA || marker == 0xD9) break;  // picture data or end before any frame header
    at += 2 + length;
  }
  return Damaged("JPEG without a frame header");
}

// RIFF container: "RIFF", size, "WEBP", then a chunk VP8X (extended), VP8L (lossless) or VP8
// (lossy), each with its own size fields.
absl::StatusOr<ImageProperties> ReadWebp(absl::string_view bytes) {
  if (bytes.size() < 30) return Damaged("WebP is truncated");
  if (uint64_t{LittleEndian(bytes, 4, 4)} + 8 > bytes.size()) return Damaged("WebP is truncated");
  const absl::string_view chunk = bytes.substr(12, 4);
  if (chunk == "VP8X")
    return Checked("image/webp", LittleEndian(bytes, 24, 3) + 1, LittleEndian(bytes, 27, 3) + 1);
  if (chunk == "VP8L") {
    if (bytes[20] != '\x2f') return Damaged("WebP with a damaged header");
    const uint32_t packed = LittleEndian(bytes, 21, 4);
    return Checked("image/webp", (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1);
  }
  if (chunk == "VP8 ") {
    if (bytes.substr(23, 3) != absl::string_view("\x9d\x01\x2a", 3))
      return Damaged("WebP with a damaged header");
    return Checked("image/webp", LittleEndian(bytes, 26, 2) & 0x3FFF,
                   LittleEndian(bytes, 28, 2) & 0x3FFF);
  }
  return Damaged("WebP with an unknown first chunk");
}

}  // namespace

absl::StatusOr<ImageProperties> ReadImageProperties(absl::string_view bytes) {
  if (absl::StartsWith(bytes, kPngSignature)) return ReadPng(bytes);
  if (absl::StartsWith(bytes, kJpegStart)) return ReadJpeg(bytes);
  if (absl::StartsWith(bytes, "RIFF") && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP")
    return ReadWebp(bytes);
  return Damaged("neither JPEG, PNG nor WebP");
}

}  // namespace palate::featurestore
