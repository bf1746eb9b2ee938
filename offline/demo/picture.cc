#include "offline/demo/picture.h"

// jpeglib.h uses FILE and size_t without declaring them.
#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "offline/demo/canvas.h"
#include "offline/demo/drawings.h"
#include "offline/demo/vocabulary.h"

namespace palate::demo {
namespace {

struct KindDrawing {
  Drawing draw;
  Setting setting;
};

const KindDrawing* FindDrawing(const std::string& kind) {
  static const auto& drawings = *new absl::flat_hash_map<std::string, KindDrawing>{
      {"table lamp", {DrawTableLamp, Setting::kStanding}},
      {"pendant lamp", {DrawPendantLamp, Setting::kHanging}},
      {"armchair", {DrawArmchair, Setting::kStanding}},
      {"stool", {DrawStool, Setting::kStanding}},
      {"mug", {DrawMug, Setting::kStanding}},
      {"teapot", {DrawTeapot, Setting::kStanding}},
      {"backpack", {DrawBackpack, Setting::kStanding}},
      {"tote bag", {DrawToteBag, Setting::kStanding}},
      {"sneakers", {DrawSneakers, Setting::kStanding}},
      {"ankle boots", {DrawAnkleBoots, Setting::kStanding}},
      {"jacket", {DrawJacket, Setting::kHanging}},
      {"beanie", {DrawBeanie, Setting::kStanding}},
      {"headphones", {DrawHeadphones, Setting::kStanding}},
      {"speaker", {DrawSpeaker, Setting::kStanding}},
      {"wristwatch", {DrawWristwatch, Setting::kLying}},
      {"wall clock", {DrawWallClock, Setting::kHanging}},
      {"plant pot", {DrawPlantPot, Setting::kStanding}},
      {"watering can", {DrawWateringCan, Setting::kStanding}},
      {"rug", {DrawRug, Setting::kStanding}},
      {"cushion", {DrawCushion, Setting::kStanding}},
  };

  const auto found = drawings.find(kind);
  return found == drawings.end() ? nullptr : &found->second;
}

Texture TextureOf(const std::string& material, MaterialFamily family) {
  static const auto& own = *new absl::flat_hash_map<std::string, Texture>{
      {"wool", Texture::kKnit},        {"denim", Texture::kTwill},
      {"velvet", Texture::kVelvet},    {"felt", Texture::kFelt},
      {"suede", Texture::kSuede},      {"stoneware", Texture::kSpeckle},
      {"terracotta", Texture::kEarth}, {"concrete", Texture::kConcrete},
      {"jute", Texture::kRope},
  };

  if (const auto found = own.find(material); found != own.end()) return found->second;
  switch (family) {
    case MaterialFamily::kWood:
      return Texture::kWood;
    case MaterialFamily::kMetal:
      return Texture::kMetal;
    case MaterialFamily::kFabric:
      return Texture::kWeave;
    case MaterialFamily::kLeather:
      return Texture::kLeather;
    case MaterialFamily::kCeramic:
    case MaterialFamily::kPlastic:
      return Texture::kGloss;
    case MaterialFamily::kGlass:
      return Texture::kGlass;
    case MaterialFamily::kWoven:
      return Texture::kBasket;
  }
  return Texture::kSmooth;
}

bool TakesDye(const std::string& material, MaterialFamily family) {
  if (material == "terracotta" || material == "concrete") return false;
  return family == MaterialFamily::kFabric || family == MaterialFamily::kLeather ||
         family == MaterialFamily::kCeramic || family == MaterialFamily::kPlastic ||
         family == MaterialFamily::kGlass;
}

Look LookOf(const Product& product) {
  const MaterialWord& material = FindMaterial(product.material);
  const Rgb color = Rgb::FromHex(FindColor(product.color).rgb), own = Rgb::FromHex(material.rgb);
  const Rgb contrast = Luminance(color) > 0.5 ? Mix(color, Rgb::FromHex(0x28304A), 0.68)
                                              : Mix(color, Rgb::FromHex(0xFFF8E8), 0.78);
  const Texture texture = TextureOf(product.material, material.family);

  Look look;
  look.product = &product;
  look.family = material.family;
  look.dyed = TakesDye(product.material, material.family);
  look.natural = {own, texture, "plain", contrast};

  // A little of the undyed color shows through the dye.
  look.body =
      look.dyed ? Surface{Mix(color, own, 0.10), texture, product.pattern, contrast} : look.natural;
  look.accent = {color, Texture::kWeave, product.pattern, contrast};
  look.tint = {color, Texture::kSmooth, "plain", contrast};

  const auto& styles = Styles();
  look.form = static_cast<int>(
      (std::find(styles.begin(), styles.end(), product.style) - styles.begin()) % 3);
  return look;
}

Rgb ChooseBackdrop(Random& random, const Rgb& color) {
  static constexpr unsigned kBackdrops[] = {0xE9E4DC, 0xDDE5E8, 0xE8DDD6, 0xDFE6DA, 0xE6DFEA,
                                            0xF0E7D6, 0xD5DBE2, 0xEFDFDA, 0xCFD6CF, 0xC9C6CF};

  // Of two random backdrops, the one with more contrast to the product.
  const Rgb first = Rgb::FromHex(kBackdrops[random.Index(10)]),
            second = Rgb::FromHex(kBackdrops[random.Index(10)]);
  const auto distance = [&](const Rgb& b) {
    return std::abs(b.r - color.r) + std::abs(b.g - color.g) + std::abs(b.b - color.b);
  };
  return distance(first) > distance(second) ? first : second;
}

absl::Status Check(const Product& product, const PictureOptions& options) {
  if (options.size < 16 || options.size > 2048)
    return InvalidField("size", absl::StrCat("is ", options.size), "16 to 2048");
  if (options.jpeg_quality < 1 || options.jpeg_quality > 100)
    return InvalidField("jpeg_quality", absl::StrCat("is ", options.jpeg_quality), "1 to 100");

  if (FindDrawing(product.kind) == nullptr)
    return InvalidField("product.kind", absl::StrCat("is '", product.kind, "'"),
                        "a kind of the vocabulary");

  const auto known = [](const auto& words, const std::string& name) {
    return std::any_of(words.begin(), words.end(),
                       [&](const auto& word) { return word.name == name; });
  };

  if (!known(Materials(), product.material))
    return InvalidField("product.material", absl::StrCat("is '", product.material, "'"),
                        "a material of the vocabulary");
  if (!known(Colors(), product.color))
    return InvalidField("product.color", absl::StrCat("is '", product.color, "'"),
                        "a color of the vocabulary");
  return absl::OkStatus();
}

void DrawScene(Canvas& canvas, const Product& product) {
  const KindDrawing& drawing = *FindDrawing(product.kind);
  const Look look = LookOf(product);
  Random& random = canvas.random();

  canvas.Backdrop(ChooseBackdrop(random, look.dyed ? look.body.color : look.natural.color),
                  drawing.setting == Setting::kStanding ? random.Uniform(0.62, 0.72) : 1.2);

  // A standing product is almost upright; a hanging or lying one may be turned more.
  const double turn = drawing.setting == Setting::kLying     ? random.Uniform(-14, 14)
                      : drawing.setting == Setting::kHanging ? random.Uniform(-1.5, 1.5)
                                                             : random.Uniform(-1, 1);
  const double dy = product.kind == "pendant lamp" ? random.Uniform(-6, 0) : random.Uniform(-2, 2);

  canvas.Push(turn, random.Uniform(0.86, 0.98), random.Chance(0.35), random.Uniform(-3, 3), dy);
  drawing.draw(canvas, look);
  canvas.Pop();
}

struct JpegError {
  jpeg_error_mgr base;
  jmp_buf jump;
};

// False when libjpeg fails: it reports errors through a callback that must not return, so we leave
// it with longjmp.
bool CompressJpeg(RgbPicture& picture, int quality, unsigned char** buffer, unsigned long* length) {
  jpeg_compress_struct encoder{};
  JpegError error;

  encoder.err = jpeg_std_error(&error.base);
  error.base.error_exit = [](j_common_ptr info) {
    longjmp(reinterpret_cast<JpegError*>(info->err)->jump, 1);
  };

  if (setjmp(error.jump) != 0) {
    jpeg_destroy_compress(&encoder);
    return false;
  }

  jpeg_create_compress(&encoder);
  jpeg_mem_dest(&encoder, buffer, length);
  encoder.image_width = encoder.image_height = picture.size;
  encoder.input_components = 3;
  encoder.in_color_space = JCS_RGB;
  jpeg_set_defaults(&encoder);
  jpeg_set_quality(&encoder, quality, TRUE);
  jpeg_start_compress(&encoder, TRUE);

  while (encoder.next_scanline < encoder.image_height) {
    JSAMPROW row = &picture.pixels[static_cast<size_t>(encoder.next_scanline) * picture.size * 3];
    jpeg_write_scanlines(&encoder, &row, 1);
  }

  jpeg_finish_compress(&encoder);
  jpeg_destroy_compress(&encoder);
  return true;
}

absl::StatusOr<std::string> EncodeJpeg(RgbPicture picture, int quality) {
  unsigned char* buffer = nullptr;
  unsigned long length = 0;

  const bool done = CompressJpeg(picture, quality, &buffer, &length);
  const std::unique_ptr<unsigned char, decltype(&std::free)> owned(buffer, &std::free);
  if (!done) return absl::InternalError("libjpeg could not encode a picture");
  return std::string(reinterpret_cast<const char*>(buffer), length);
}

absl::StatusOr<std::string> EncodePng(const RgbPicture& picture) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = image.height = picture.size;
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t length = 0;

  std::string bytes;
  if (png_image_write_get_memory_size(image, length, 0, picture.pixels.data(), 0, nullptr)) {
    bytes.resize(length);
    if (png_image_write_to_memory(&image, bytes.data(), &length, 0, picture.pixels.data(), 0,
                                  nullptr)) {
      bytes.resize(length);
      return bytes;
    }
  }

  return absl::InternalError(absl::StrCat("libpng could not encode a picture: ", image.message));
}

}  // namespace

bool Look::Has(const char* feature) const {
  return std::find(product->features.begin(), product->features.end(), feature) !=
         product->features.end();
}

absl::StatusOr<RgbPicture> DrawRgbPicture(const Product& product, const PictureOptions& options) {
  PALATE_RETURN_IF_ERROR(Check(product, options));
  Canvas canvas(options.size, Random::ForPart(options.variation, absl::StrCat(product.item.id, "|",
                                                                              product.item.title)));
  DrawScene(canvas, product);
  PALATE_RETURN_IF_ERROR(canvas.status());
  return RgbPicture{options.size, canvas.Pixels()};
}

absl::StatusOr<Picture> DrawPicture(const Product& product, const PictureOptions& options) {
  PALATE_ASSIGN_OR_RETURN(RgbPicture raw, DrawRgbPicture(product, options));
  if (options.format == PictureFormat::kPng) {
    PALATE_ASSIGN_OR_RETURN(std::string bytes, EncodePng(raw));
    return Picture{std::move(bytes), "image/png"};
  }
  PALATE_ASSIGN_OR_RETURN(std::string bytes, EncodeJpeg(std::move(raw), options.jpeg_quality));
  return Picture{std::move(bytes), "image/jpeg"};
}

}  // namespace palate::demo
