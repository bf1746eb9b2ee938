#include "models/image/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <numeric>
#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "models/checkpoint/safetensors.h"
#include "models/image/exif.h"
#include "tests/models/golden.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

std::string MessageOf(const absl::StatusOr<Image>& image) {
  return std::string(image.status().message());
}

// Differences of two images of equal size.
struct Difference {
  int max = 0;
  double mean = 0;
};

Difference Compare(const std::vector<uint8_t>& a, absl::string_view b) {
  Difference difference;
  double sum = 0;

  for (size_t i = 0; i < a.size(); ++i) {
    const int distance =
        std::abs(static_cast<int>(a[i]) - static_cast<int>(static_cast<uint8_t>(b[i])));
    difference.max = std::max(difference.max, distance);
    sum += distance;
  }

  difference.mean = a.empty() ? 0 : sum / static_cast<double>(a.size());
  return difference;
}

class GoldenImageTest : public ::testing::Test {
 protected:
  GoldenImageTest() : golden_("preprocess-images") {}
  void SetUp() override { PALATE_SKIP_WITHOUT(golden_); }
  Golden golden_;
};

TEST_F(GoldenImageTest, DecodesEveryImageToTheReferencePixels) {
  const auto expected = SafetensorsFile::Open(golden_.tensors());
  ASSERT_TRUE(expected.ok());

  int compared = 0;
  const auto inputs = golden_.inputs();
  for (const std::string name : inputs["images"]) {
    const auto image = DecodeImage(ReadAll(golden_.input(name)));
    ASSERT_TRUE(image.ok()) << name << ": " << image.status();

    const TensorEntry& pixels = expected->tensors().at("decoded/" + name);
    ASSERT_EQ(pixels.shape, (std::vector<int64_t>{image->height, image->width, 3})) << name;
    const Difference difference = Compare(image->rgb, pixels.data);
    EXPECT_EQ(difference.max, 0) << name << ", mean difference " << difference.mean;
    ++compared;
  }
  EXPECT_EQ(compared, 20);
}

TEST_F(GoldenImageTest, ReadsHeadersWithoutDecoding) {
  const nlohmann::ordered_json stored = golden_.expected()["images"];
  const auto inputs = golden_.inputs();
  for (const std::string name : inputs["images"]) {
    const auto header = ReadImageHeader(ReadAll(golden_.input(name)));
    ASSERT_TRUE(header.ok()) << name;
    EXPECT_EQ(header->width, stored[name]["stored_size_wh"][0].get<int64_t>()) << name;
    EXPECT_EQ(header->height, stored[name]["stored_size_wh"][1].get<int64_t>()) << name;
  }
}

TEST_F(GoldenImageTest, RefusesEveryTruncationThatLosesPixelsOfEveryFormat) {
  // What may be missing at the end of a file without the loss of a pixel: a JPEG's end marker and
  // padding, and a PNG's end chunk (12 bytes) and the checksum before it (4). The reference also
  // reads some PNG files whose compressed data end up to 6 bytes earlier.
  const auto spare = [](absl::string_view name) -> size_t {
    if (absl::EndsWith(name, ".jpg")) return 8;
    return absl::EndsWith(name, ".png") ? 17 : 1;
  };

  for (const std::string name : {"baseline.jpg", "progressive_420.jpg", "gray.png",
                                 "palette_transparent.png", "lossy.webp", "lossless_alpha.webp"}) {
    const std::string whole = ReadAll(golden_.input(name));
    const size_t last = whole.size() - spare(name);
    for (size_t size = 0; size <= last; size += 1 + whole.size() / 60) {
      const auto image = DecodeImage(absl::string_view(whole).substr(0, size));
      ASSERT_FALSE(image.ok()) << name << " cut to " << size << " of " << whole.size();
      EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument);
    }
    EXPECT_FALSE(DecodeImage(absl::string_view(whole).substr(0, last)).ok()) << name;
  }
}

// The reference loads these files, too.
TEST_F(GoldenImageTest, ReadsEveryPixelOfAPngWithoutItsEndAndChecksum) {
  for (const std::string name : {"gray.png", "palette_transparent.png", "rgba.png"}) {
    const std::string whole = ReadAll(golden_.input(name));
    const auto expected = DecodeImage(whole);
    ASSERT_TRUE(expected.ok()) << expected.status();
    for (size_t missing = 1; missing <= 16; ++missing) {
      const auto image = DecodeImage(absl::string_view(whole).substr(0, whole.size() - missing));
      ASSERT_TRUE(image.ok()) << name << " without its last " << missing << ": " << image.status();
      EXPECT_EQ(image->rgb, expected->rgb) << name << " without its last " << missing;
    }
  }
}

// A TIFF directory with one orientation entry; `value` has the width of the type.
std::string Tiff(bool little_endian, uint16_t type, uint32_t value, int value_bytes) {
  const auto number = [&](uint32_t of, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) {
      const int shift = 8 * (little_endian ? i : bytes - 1 - i);
      text.push_back(static_cast<char>(of >> shift));
    }
    return text;
  };
  std::string entry =
      number(0x0112, 2) + number(type, 2) + number(1, 4) + number(value, value_bytes);
  entry.resize(12, '\0');
  return (little_endian ? "II" : "MM") + number(42, 2) + number(8, 4) + number(1, 2) + entry +
         number(0, 4);
}

// An APP1 segment with this content.
std::string App1(const std::string& content) {
  const size_t length = content.size() + 2;
  return std::string("\xff\xe1") + static_cast<char>(length >> 8) + static_cast<char>(length) +
         content;
}

std::string Exif(const std::string& tiff) { return std::string("Exif\0\0", 6) + tiff; }

// A JPEG that begins with these segments.
std::string JpegWith(const std::string& segments) {
  return "\xff\xd8" + segments + "\xff\xda" + std::string("\0\2\xff\xd9", 4);
}

TEST(ReadExifOrientationTest, ReadsEveryIntegerTypeInBothByteOrders) {
  constexpr uint16_t kSByte = 6, kShort = 3, kSShort = 8, kLong = 4, kSLong = 9;
  const std::vector<std::pair<uint16_t, int>> types = {
      {kSByte, 1}, {kShort, 2}, {kSShort, 2}, {kLong, 4}, {kSLong, 4}};
  for (const auto& [type, bytes] : types) {
    for (const bool little_endian : {true, false}) {
      const std::string file = JpegWith(App1(Exif(Tiff(little_endian, type, 6, bytes))));
      EXPECT_EQ(ReadExifOrientation(file, ImageFormat::kJpeg), 6)
          << "type " << type << (little_endian ? " little" : " big") << " endian";
    }
  }
}

TEST(ReadExifOrientationTest, FindsTheSegmentBehindFillBytesAndOtherSegments) {
  const std::string exif = App1(Exif(Tiff(true, 3, 8, 2)));
  EXPECT_EQ(ReadExifOrientation(JpegWith("\xff\xff\xff" + exif), ImageFormat::kJpeg), 8);
  EXPECT_EQ(ReadExifOrientation(JpegWith(App1("http://other") + exif), ImageFormat::kJpeg), 8);
  // The first EXIF segment counts.
  const std::string second = App1(Exif(Tiff(true, 3, 3, 2)));
  EXPECT_EQ(ReadExifOrientation(JpegWith(exif + second), ImageFormat::kJpeg), 8);
}

TEST(ReadExifOrientationTest, ReadsXmpOnlyWhereExifHasNoOrientation) {
  const auto xmp = [](const std::string& text) {
    return App1(std::string("http://ns.adobe.com/xap/1.0/\0", 29) + text);
  };
  const std::string attribute = xmp("<x tiff:Orientation=\"6\"/>");
  EXPECT_EQ(ReadExifOrientation(JpegWith(attribute), ImageFormat::kJpeg), 6);
  EXPECT_EQ(ReadExifOrientation(JpegWith(xmp("<tiff:Orientation>5</tiff:Orientation>")),
                                ImageFormat::kJpeg),
            5);
  EXPECT_EQ(ReadExifOrientation(JpegWith(attribute + App1(Exif(Tiff(true, 3, 3, 2)))),
                                ImageFormat::kJpeg),
            3);
}

TEST_F(GoldenImageTest, TurnsAPictureWhoseOrientationIsALongBehindFillBytes) {
  const std::string upright = ReadAll(golden_.input("baseline.jpg"));
  const std::string turned = "\xff\xd8\xff\xff" +
                             App1(Exif(Tiff(/*little_endian=*/false, /*type=*/4, 6, 4))) +
                             upright.substr(2);
  const auto expected = DecodeImage(upright);
  const auto image = DecodeImage(turned);
  ASSERT_TRUE(expected.ok() && image.ok()) << image.status();
  EXPECT_EQ(image->rgb, ApplyOrientation(*expected, 6).rgb);
}

// A JPEG of 16 x 8 pixels in CMYK, without Adobe's marker: two squares of one color each.
constexpr char kCmykWithoutMarker[] =
    "ffd8ffdb0043000302020302020303030304030304050805050404050a070706080c0a0c0c0b0a0b0b0d0e1210"
    "0d0e110e0b0b1016101113141515150c0f171816141812141514ffc000140800080010044311004d1100591100"
    "4b1100ffc400160001010100000000000000000000000000090805ffc400141001000000000000000000000000"
    "00000000ffda000e0443004d0059004b00003f00ba1a68f0818542145d92fbffd9";

TEST(DecodeImageTest, ReadsCmykWithoutAdobesMarkerAsInvertedAsTheReferenceDoes) {
  const auto image = DecodeImage(absl::HexStringToBytes(kCmykWithoutMarker));
  ASSERT_TRUE(image.ok()) << image.status();
  ASSERT_EQ(image->width, 16);

  // What Pillow gives.
  const std::vector<uint8_t> left = {190, 119, 49};
  const std::vector<uint8_t> right = {36, 152, 126};
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(image->rgb[3 * 2 + c], left[c], 1);
    EXPECT_NEAR(image->rgb[3 * 12 + c], right[c], 1);
  }
}

TEST(DecodeImageTest, NamesAGitLfsPointer) {
  EXPECT_THAT(MessageOf(DecodeImage("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")),
              HasSubstr("is a Git LFS pointer"));
}

TEST_F(GoldenImageTest, SurvivesRandomDamage) {
  std::mt19937 random(3);
  for (const std::string name : {"progressive_420.jpg", "rgba.png", "lossy.webp"}) {
    const std::string whole = ReadAll(golden_.input(name));
    for (int round = 0; round < 200; ++round) {
      std::string damaged = whole;
      for (int change = 0; change < 4; ++change)
        damaged[random() % damaged.size()] = static_cast<char>(random());
      const auto image = DecodeImage(damaged, {.max_pixels = 1'000'000});

      if (image.ok()) {
        EXPECT_EQ(image->rgb.size(), static_cast<size_t>(3 * image->width * image->height));
      } else {
        EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument) << image.status();
      }
    }
  }
}

Image Gradient(int64_t width, int64_t height) {
  Image image{.width = width, .height = height};
  image.rgb.resize(static_cast<size_t>(3 * width * height));
  std::iota(image.rgb.begin(), image.rgb.end(), uint8_t{0});
  return image;
}

// A PNG whose header declares a different size than its content.
std::string PngDeclaring(uint32_t width, uint32_t height) {
  std::string png = *EncodePng(Gradient(2, 2));
  for (int i = 0; i < 4; ++i) {
    png[static_cast<size_t>(16 + i)] = static_cast<char>(width >> (24 - 8 * i));
    png[static_cast<size_t>(20 + i)] = static_cast<char>(height >> (24 - 8 * i));
  }
  return png;
}

TEST(DecodeImageTest, ReturnsTheEncodedPixelsOfAPng) {
  for (const auto& [width, height] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {1, 300}, {300, 1}, {17, 9}}) {
    const Image image = Gradient(width, height);
    const auto decoded = DecodeImage(*EncodePng(image));

    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->width, width);
    EXPECT_EQ(decoded->rgb, image.rgb);
  }
}

TEST(DecodeImageTest, RefusesABombByItsHeaderBeforeDecoding) {
  const auto image = DecodeImage(PngDeclaring(50'000, 50'000));
  EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MessageOf(image), "declares 50000 x 50000 pixels, at most 40000000 in all");

  EXPECT_THAT(MessageOf(DecodeImage(PngDeclaring(0xFFFFFFFF, 0xFFFFFFFF))),
              HasSubstr("4294967295 x 4294967295"));
  EXPECT_THAT(MessageOf(DecodeImage(PngDeclaring(0, 5))), HasSubstr("declares 0 x 5 pixels"));
}

// The resident memory of this process.
int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t total_pages = 0;
  int64_t resident_pages = 0;
  file >> total_pages >> resident_pages;
  return resident_pages * ::sysconf(_SC_PAGESIZE);
}

// A JPEG whose header declares a different size than its content.
std::string JpegDeclaring(std::string jpeg, uint16_t width, uint16_t height) {
  for (const char* frame : {"\xff\xc0", "\xff\xc2"}) {
    const size_t at = jpeg.find(frame);
    if (at == std::string::npos) continue;

    const std::array<uint16_t, 2> sides = {height, width};
    for (size_t i = 0; i < sides.size(); ++i) {
      jpeg[at + 5 + 2 * i] = static_cast<char>(sides[i] >> 8);
      jpeg[at + 6 + 2 * i] = static_cast<char>(sides[i]);
    }
  }
  return jpeg;
}

// A WebP whose canvas, but not its image, has this size. It is declared as animated, so that the
// canvas counts.
std::string WebpDeclaring(uint32_t width, uint32_t height, char flags) {
  const auto little_endian = [](uint32_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> (8 * i)));
    return text;
  };

  const std::string chunk = std::string("VP8X") + little_endian(10, 4) + std::string(1, flags) +
                            std::string(3, '\0') + little_endian(width - 1, 3) +
                            little_endian(height - 1, 3);
  return "RIFF" + little_endian(static_cast<uint32_t>(4 + chunk.size()), 4) + "WEBP" + chunk;
}

TEST_F(GoldenImageTest, RefusesTheBombOfEveryFormatInLittleMemory) {
  constexpr uint16_t kSide = 50'000;
  constexpr int64_t kLimitBytes = 64 << 20;

  const std::string baseline = ReadAll(golden_.input("baseline.jpg"));
  const std::string progressive = ReadAll(golden_.input("progressive_420.jpg"));
  const std::vector<std::string> bombs = {
      PngDeclaring(kSide, kSide), JpegDeclaring(baseline, kSide, kSide),
      JpegDeclaring(progressive, kSide, kSide), WebpDeclaring(kSide, kSide, 0x02),
      WebpDeclaring(kSide, kSide, 0x10)};

  const int64_t before = ResidentBytes();
  for (size_t i = 0; i < bombs.size(); ++i) {
    const auto image = DecodeImage(bombs[i]);
    EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument) << i;
    EXPECT_LT(ResidentBytes() - before, kLimitBytes) << i;
  }

  for (size_t i = 0; i < 3; ++i)
    EXPECT_THAT(MessageOf(DecodeImage(bombs[i])), HasSubstr("declares 50000 x 50000 pixels")) << i;
}

TEST(DecodeImageTest, HonorsTheCallersLimits) {
  const std::string png = *EncodePng(Gradient(10, 10));

  EXPECT_TRUE(DecodeImage(png, {.max_pixels = 100}).ok());
  EXPECT_FALSE(DecodeImage(png, {.max_pixels = 99}).ok());
  EXPECT_TRUE(DecodeImage(png, {.max_encoded_bytes = png.size()}).ok());
  EXPECT_THAT(MessageOf(DecodeImage(png, {.max_encoded_bytes = png.size() - 1})),
              HasSubstr("at most"));
}

TEST(DecodeImageTest, NamesUnsupportedFormats) {
  EXPECT_EQ(MessageOf(DecodeImage("")), "is empty");
  EXPECT_THAT(MessageOf(DecodeImage("GIF89a...")),
              HasSubstr("is a GIF image; supported are JPEG, PNG and WebP"));

  EXPECT_THAT(MessageOf(DecodeImage("\x01\x02\x03\x04 ftyp")),
              HasSubstr("is not a JPEG, PNG or WebP image"));
  EXPECT_THAT(MessageOf(DecodeImage(std::string("\0\0\0\x1c"
                                                "ftypavif",
                                                12))),
              HasSubstr("AVIF"));
  EXPECT_THAT(MessageOf(DecodeImage("<svg xmlns=")), HasSubstr("SVG"));
}

TEST(ApplyOrientationTest, TurnsEveryOrientationUpright) {
  // The stored pixels are a b c / d e f, one value per pixel.
  const auto stored = [] {
    Image image{.width = 3, .height = 2};
    for (uint8_t value : {'a', 'b', 'c', 'd', 'e', 'f'})
      image.rgb.insert(image.rgb.end(), 3, value);
    return image;
  };

  const std::vector<std::string> upright = {"abcdef", "cbafed", "fedcba", "defabc",
                                            "adbecf", "daebfc", "fcebda", "cfbead"};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image image = ApplyOrientation(stored(), orientation);
    EXPECT_EQ(image.width, orientation < 5 ? 3 : 2);

    std::string pixels;
    for (size_t i = 0; i < image.rgb.size(); i += 3)
      pixels.push_back(static_cast<char>(image.rgb[i]));
    EXPECT_EQ(pixels, upright[static_cast<size_t>(orientation - 1)])
        << "orientation " << orientation;
  }
}

TEST(ReadExifOrientationTest, TakesGarbageAsUpright) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    std::string bytes = "\xff\xd8\xff\xe1";
    bytes.push_back(0);
    bytes.push_back(40);
    bytes += std::string("Exif\0\0II*\0", 10);
    for (int i = 0; i < 40; ++i) bytes.push_back(static_cast<char>(random()));

    const int orientation = ReadExifOrientation(bytes, ImageFormat::kJpeg);
    EXPECT_GE(orientation, 1);
    EXPECT_LE(orientation, 8);
  }

  EXPECT_EQ(ReadExifOrientation("", ImageFormat::kPng), 1);
  EXPECT_EQ(ReadExifOrientation("RIFF", ImageFormat::kWebp), 1);
}

}  // namespace
}  // namespace palate::models
