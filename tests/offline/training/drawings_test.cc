#include "offline/training/drawings.h"

#include <string>

#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "models/checkpoint/json_config.h"
#include "models/image/image.h"
#include "nlohmann/json.hpp"
#include "tests/temp_folder.h"

namespace palate::training {
namespace {

TEST(CaptionTest, SaysColorPatternMaterialAndKind) {
  demo::Product product;
  product.kind = "mug";
  product.material = "porcelain";
  product.color = "orange";
  product.pattern = "striped";

  EXPECT_EQ(CaptionOf(product), "an orange striped porcelain mug");

  product.kind = "sneakers";
  product.pattern = "plain";
  EXPECT_EQ(CaptionOf(product), "orange porcelain sneakers");
}

TEST(DrawingsTest, EveryLineNamesAPictureOfTheRequestedSizeAndSaysWhatItShows) {
  const TempFolder folder;
  ASSERT_TRUE(WriteDrawings({.out = folder.file("drawings"), .products = 3, .size = 32}).ok());

  const auto lines = models::ReadFileToString(folder.file("drawings/products.jsonl"));
  ASSERT_TRUE(lines.ok()) << lines.status();
  int products = 0;
  for (const absl::string_view line : absl::StrSplit(*lines, '\n', absl::SkipEmpty())) {
    const nlohmann::json product = nlohmann::json::parse(line);
    const auto bytes =
        models::ReadFileToString(folder.file("drawings/" + product.at("file").get<std::string>()));
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const auto image = models::DecodeImage(*bytes);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->width, 32);

    const auto caption = product.at("caption").get<std::string>();
    EXPECT_NE(caption.find(product.at("kind").get<std::string>()), std::string::npos) << caption;
    EXPECT_NE(caption.find(product.at("color").get<std::string>()), std::string::npos) << caption;
    EXPECT_FALSE(product.at("text").get<std::string>().empty());
    ++products;
  }
  EXPECT_EQ(products, 3);
}

TEST(DrawingsTest, HeldOutProductsAreNoneOfTheTrainingProducts) {
  const auto training = ProductsOf(Split::kTraining, 1, 50);
  const auto held = ProductsOf(Split::kHeldOut, 1, 50);
  ASSERT_TRUE(training.ok()) << training.status();
  ASSERT_TRUE(held.ok()) << held.status();

  for (const demo::Product& a : *held) {
    for (const demo::Product& b : *training)
      EXPECT_NE(std::tie(a.kind, a.material, a.style), std::tie(b.kind, b.material, b.style));
  }
}

}  // namespace
}  // namespace palate::training
