#include "offline/demo/picture.h"

// jpeglib.h uses FILE and size_t without declaring them.
#include <jpeglib.h>
#include <png.h>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "offline/demo/vocabulary.h"

namespace palate::demo {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Product ProductOf(const KindWord& kind) {
  Product product;
  product.item.id = "p-1";
  product.item.title = "A thing";
  product.kind = kind.name;
  product.category = kind.category;
  product.material = kind.materials.front();
  product.style = "modern";
  product.color = "teal";
  product.pattern = "plain";
  product.features = {kind.features[0], kind.features[1]};
  return product;
}

RgbPicture Draw(const Product& product) {
  absl::StatusOr<RgbPicture> picture = DrawRgbPicture(product);
  EXPECT_TRUE(picture.ok()) << picture.status();
  return *std::move(picture);
}

// Mean absolute difference of all color values, 0 to 255.
double Difference(const RgbPicture& a, const RgbPicture& b) {
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

std::vector<uint8_t> DecodeJpeg(const std::string& bytes, int& width, int& height) {
  jpeg_decompress_struct decoder{};
  jpeg_error_mgr error;
  decoder.err = jpeg_std_error(&error);
  jpeg_create_decompress(&decoder);
  jpeg_mem_src(&decoder, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&decoder, TRUE);
  jpeg_start_decompress(&decoder);

  width = decoder.output_width;
  height = decoder.output_height;
  std::vector<uint8_t> pixels(static_cast<size_t>(width) * height * 3);

  while (decoder.output_scanline < decoder.output_height) {
    JSAMPROW row = &pixels[static_cast<size_t>(decoder.output_scanline) * width * 3];
    jpeg_read_scanlines(&decoder, &row, 1);
  }

  jpeg_finish_decompress(&decoder);
  jpeg_destroy_decompress(&decoder);
  return pixels;
}

class EveryKindTest : public ::testing::TestWithParam<KindWord> {};

TEST_P(EveryKindTest, IsDrawnAsASmallJpegThatDecodesToTheSamePicture) {
  const Product product = ProductOf(GetParam());

  const auto picture = DrawPicture(product);
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->media_type, "image/jpeg");
  EXPECT_LT(picture->bytes.size(), 30u * 1024);

  RgbPicture decoded{.size = 224, .pixels = {}};
  int width = 0, height = 0;
  decoded.pixels = DecodeJpeg(picture->bytes, width, height);
  ASSERT_EQ(width, 224);
  ASSERT_EQ(height, 224);

  EXPECT_LT(Difference(decoded, Draw(product)), 6);
}

TEST_P(EveryKindTest, LooksDifferentInAnotherColorMaterialPatternAndStyle) {
  const Product product = ProductOf(GetParam());
  const RgbPicture picture = Draw(product);

  Product other = product;
  other.color = "orange";
  EXPECT_GT(Difference(picture, Draw(other)), 0.5) << "color";

  other = product;
  other.pattern = "checked";
  EXPECT_GT(Difference(picture, Draw(other)), 0.1) << "pattern";

  other = product;
  other.material = GetParam().materials.back();
  EXPECT_GT(Difference(picture, Draw(other)), 0.1) << "material";

  other = product;
  other.style = "rustic";
  EXPECT_GT(Difference(picture, Draw(other)), 0.1) << "style";
}

TEST_P(EveryKindTest, LooksUnlikeEveryOtherKind) {
  const RgbPicture picture = Draw(ProductOf(GetParam()));

  for (const KindWord& kind : Kinds()) {
    if (kind.name == GetParam().name) continue;
    EXPECT_GT(Difference(picture, Draw(ProductOf(kind))), 4) << kind.name;
  }
}

INSTANTIATE_TEST_SUITE_P(DrawPicture, EveryKindTest, ::testing::ValuesIn(Kinds()),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           for (char& c : name) {
                             if (c == ' ') c = '_';
                           }
                           return name;
                         });

TEST(DrawPictureTest, GivesTheSameBytesForTheSameProduct) {
  const Product product = ProductOf(Kinds()[0]);
  EXPECT_EQ(DrawPicture(product)->bytes, DrawPicture(product)->bytes);
}

TEST(DrawPictureTest, VariesPoseAndBackdropFromProductToProduct) {
  const Product product = ProductOf(Kinds()[0]);
  Product other = product;
  other.item.id = "p-2";
  EXPECT_GT(Difference(Draw(product), Draw(other)), 0.5);
  EXPECT_NE(DrawPicture(product)->bytes, DrawPicture(product, {.variation = 1})->bytes);
}

TEST(DrawPictureTest, EncodesPngWithoutLoss) {
  const Product product = ProductOf(Kinds()[4]);
  const auto picture = DrawPicture(product, {.size = 96, .format = PictureFormat::kPng});
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->media_type, "image/png");
  EXPECT_THAT(picture->bytes, StartsWith("\x89PNG"));

  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  ASSERT_TRUE(
      png_image_begin_read_from_memory(&image, picture->bytes.data(), picture->bytes.size()));
  image.format = PNG_FORMAT_RGB;

  std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(image));
  ASSERT_TRUE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr));
  EXPECT_EQ(pixels, DrawRgbPicture(product, {.size = 96})->pixels);
}

TEST(DrawPictureTest, DrawsEveryProductOfAShop) {
  const auto shop = GenerateShop({.num_products = 120, .num_shoppers = 0});
  ASSERT_TRUE(shop.ok());

  std::set<std::string> pictures;
  for (const Product& product : shop->products) {
    const auto picture = DrawPicture(product, {.size = 64});
    ASSERT_TRUE(picture.ok()) << product.item.title << ": " << picture.status();
    pictures.insert(picture->bytes);
  }
  EXPECT_EQ(pictures.size(), shop->products.size());
}

TEST(DrawPictureTest, RefusesUnknownWordsAndSizesByName) {
  Product product = ProductOf(Kinds()[0]);

  EXPECT_THAT(std::string(DrawPicture(product, {.size = 4}).status().message()), HasSubstr("size"));
  EXPECT_THAT(std::string(DrawPicture(product, {.jpeg_quality = 0}).status().message()),
              HasSubstr("jpeg_quality"));

  product.kind = "spaceship";
  EXPECT_THAT(std::string(DrawPicture(product).status().message()), HasSubstr("spaceship"));

  product = ProductOf(Kinds()[0]);
  product.material = "cheese";
  EXPECT_THAT(std::string(DrawPicture(product).status().message()), HasSubstr("cheese"));

  product = ProductOf(Kinds()[0]);
  product.color = "octarine";
  EXPECT_THAT(std::string(DrawPicture(product).status().message()), HasSubstr("octarine"));
}

}  // namespace
}  // namespace palate::demo
