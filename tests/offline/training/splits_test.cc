#include "offline/training/splits.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace palate::training {
namespace {

std::string CombinationOf(const demo::Product& product) {
  return absl::StrCat(product.kind, "|", product.material, "|", product.style);
}

TEST(SplitsTest, SeedsOfSplitsNeverMeetWhateverTheRunsSeed) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    for (const uint64_t number : {uint64_t{0}, uint64_t{1}, kSeedsPerSplit - 1}) {
      for (const Split split : {Split::kTraining, Split::kValidation, Split::kHeldOut}) {
        const uint64_t shop = ShopOf(split, seed, number).seed;
        EXPECT_GE(shop, FirstSeed(split));
        EXPECT_LT(shop, FirstSeed(split) + kSeedsPerSplit);
      }
    }
  }
}

TEST(SplitsTest, HeldOutShopsHaveNoTrainedCombination) {
  std::set<std::string> trained;
  for (uint64_t number = 0; number < 10; ++number) {
    demo::ShopOptions options = ShopOf(Split::kTraining, 1, number);
    options.num_shoppers = 0;
    const auto shop = demo::GenerateShop(options);
    ASSERT_TRUE(shop.ok()) << shop.status();
    for (const demo::Product& product : shop->products) trained.insert(CombinationOf(product));
  }

  demo::ShopOptions options = ShopOf(Split::kHeldOut, 1, 0);
  options.num_shoppers = 0;
  const auto held_out = demo::GenerateShop(options);
  ASSERT_TRUE(held_out.ok()) << held_out.status();

  for (const demo::Product& product : held_out->products)
    EXPECT_FALSE(trained.contains(CombinationOf(product)));
}

TEST(SplitsTest, HeldOutTimeLiesAfterEveryTrainedEvent) {
  const absl::Time held_out = ShopOf(Split::kHeldOut, 1, 0).start_time;
  for (uint64_t number = 0; number < 300; ++number) {
    const demo::ShopOptions options = ShopOf(Split::kTraining, 7, number);
    EXPECT_LT(options.start_time + options.train_span + options.test_span, held_out);
  }
}

TEST(SplitsTest, ValidationShopsOfOneSeedAreTheSameAtEveryCall) {
  EXPECT_EQ(ShopOf(Split::kValidation, 3, 5).seed, ShopOf(Split::kValidation, 3, 5).seed);
  EXPECT_NE(ShopOf(Split::kValidation, 3, 5).seed, ShopOf(Split::kValidation, 3, 6).seed);
}

}  // namespace
}  // namespace palate::training
