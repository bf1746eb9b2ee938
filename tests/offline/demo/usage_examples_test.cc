// The usage examples in the headers of offline/demo, compiled and run.
#include "tests/usage_examples.h"

#include <gtest/gtest.h>

#include "absl/status/status.h"
#include "base/status.h"
#include "offline/demo/picture.h"
#include "offline/demo/shop.h"

namespace palate::demo {
namespace {

constexpr char kUsageExamplesFile[] = "tests/offline/demo/usage_examples_test.cc";

absl::Status UseShop() {
  PALATE_ASSIGN_OR_RETURN(const Shop shop, GenerateShop({.seed = 7, .num_products = 150}));
  const Shopper& shopper = shop.shoppers.front();
  const GradedItems wanted = TrueRelevance(shop, shopper, shop.split_time);

  EXPECT_EQ(shop.products.size(), 150u);
  EXPECT_FALSE(wanted.empty());
  return absl::OkStatus();
}

TEST(UsageExampleTest, Shop) {
  const absl::Status status = UseShop();
  EXPECT_TRUE(status.ok()) << status;
  ExpectTestHasExampleOf("offline/demo/shop.h", kUsageExamplesFile);
}

absl::Status UsePicture(const Product& product) {
  PALATE_ASSIGN_OR_RETURN(const Picture picture, DrawPicture(product));
  PALATE_ASSIGN_OR_RETURN(const Picture other, DrawPicture(product, {.variation = 1}));

  EXPECT_EQ(picture.media_type, "image/jpeg");
  EXPECT_NE(picture.bytes, other.bytes);
  return absl::OkStatus();
}

TEST(UsageExampleTest, Picture) {
  const auto shop = GenerateShop({.num_products = 1, .num_shoppers = 0});
  ASSERT_TRUE(shop.ok()) << shop.status();

  const absl::Status status = UsePicture(shop->products.front());
  EXPECT_TRUE(status.ok()) << status;
  ExpectTestHasExampleOf("offline/demo/picture.h", kUsageExamplesFile);
}

}  // namespace
}  // namespace palate::demo
