#include "offline/demo/shop.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "offline/demo/vocabulary.h"

namespace palate::demo {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Shop Generate(ShopOptions options = {}) {
  absl::StatusOr<Shop> shop = GenerateShop(options);
  EXPECT_TRUE(shop.ok()) << shop.status();
  return *std::move(shop);
}

ShopOptions Small(uint64_t seed) {
  ShopOptions options;
  options.seed = seed;
  options.num_products = 150;
  options.num_shoppers = 30;
  return options;
}

// All that a shop holds, as one text.
std::string Dump(const Shop& shop) {
  std::string text;
  for (const Product& product : shop.products) {
    absl::StrAppend(&text, product.item.id, "|", product.item.title, "|", product.item.description,
                    "|", product.price, "|", product.popularity, "\n");
  }
  for (const Shopper& shopper : shop.shoppers) {
    for (const TastePhase& phase : shopper.phases)
      absl::StrAppend(&text, shopper.id, "|", absl::FormatTime(phase.begin), "|",
                      DescribeTaste(phase.taste), "\n");
  }
  for (const Event& event : shop.events) {
    absl::StrAppend(&text, event.event_id, "|", event.user_id, "|", event.item_id, "|", event.type,
                    "|", absl::FormatTime(event.time), "\n");
  }
  return text;
}

Product ProductWith(const std::string& material, const std::string& style, double price = 50) {
  Product product;
  product.material = material;
  product.style = style;
  product.price = price;
  product.words = {{"category", "lighting"}, {"material", material}, {"style", style}};
  return product;
}

Taste TasteOf(std::map<AttributeWord, double> weights) {
  Taste taste;
  taste.weights = std::move(weights);
  taste.low_price = 40;
  taste.high_price = 80;
  return taste;
}

TEST(GenerateShopTest, GivesTheSameShopForTheSameOptions) {
  EXPECT_EQ(Dump(Generate(Small(7))), Dump(Generate(Small(7))));
}

TEST(GenerateShopTest, GivesOtherProductsAndShoppersForAnotherSeed) {
  const Shop one = Generate(Small(7)), other = Generate(Small(8));

  std::set<std::string> titles;
  for (const Product& product : one.products) titles.insert(product.item.title);

  for (const Product& product : other.products)
    EXPECT_THAT(titles, Not(Contains(product.item.title)));
  EXPECT_NE(DescribeTaste(one.shoppers[0].phases[0].taste),
            DescribeTaste(other.shoppers[0].phases[0].taste));
}

TEST(GenerateShopTest, HoldsHundredsOfUniqueProductsOfEightCategoriesAndMore) {
  const Shop shop = Generate();

  std::set<std::string> categories, kinds, ids, titles;
  for (const Product& product : shop.products) {
    categories.insert(product.category);
    kinds.insert(product.kind);
    ids.insert(product.item.id);
    titles.insert(product.item.title);
  }
  EXPECT_EQ(shop.products.size(), 400u);
  EXPECT_GE(categories.size(), 8u);
  EXPECT_EQ(kinds.size(), Kinds().size());
  EXPECT_EQ(ids.size(), 400u);
  EXPECT_GT(titles.size(), 395u);
}

TEST(GenerateShopTest, DescribesProductsByTheirOwnAttributes) {
  const Shop shop = Generate(Small(3));
  for (const Product& product : shop.products) {
    const std::string text =
        absl::AsciiStrToLower(absl::StrCat(product.item.title, " ", product.item.description));
    EXPECT_THAT(text, HasSubstr(product.material));
    EXPECT_THAT(text, HasSubstr(product.color));
    EXPECT_THAT(text, HasSubstr(product.style));
    for (const std::string& feature : product.features) EXPECT_THAT(text, HasSubstr(feature));
  }
}

TEST(GenerateShopTest, DeclaresEveryAttributeAndEventTypeThatItUses) {
  const Shop shop = Generate(Small(4));

  std::map<std::string, AttributeType> declared;
  for (const AttributeDeclaration& attribute : shop.catalog.attributes)
    declared[attribute.name] = attribute.type;

  for (const Product& product : shop.products) {
    for (const auto& [name, value] : product.item.attributes) {
      ASSERT_TRUE(declared.contains(name)) << name;
      EXPECT_EQ(static_cast<size_t>(declared[name]), value.index()) << name;
    }
  }

  std::set<std::string> types;
  for (const EventTypeDeclaration& type : shop.catalog.event_types) types.insert(type.name);
  for (const Event& event : shop.events) EXPECT_THAT(types, Contains(event.type));
}

TEST(GenerateShopTest, KeepsHeldOutCombinationsApart) {
  ShopOptions training = Small(5), held_out = Small(5);
  training.combinations = Combinations::kTraining;
  held_out.combinations = Combinations::kHeldOut;

  for (const Product& product : Generate(training).products)
    EXPECT_FALSE(IsHeldOutCombination(product.kind, product.material, product.style));
  for (const Product& product : Generate(held_out).products)
    EXPECT_TRUE(IsHeldOutCombination(product.kind, product.material, product.style));
}

TEST(GenerateShopTest, OrdersEventsByTimeWithinTheSpansAndAfterTheProductCame) {
  const Shop shop = Generate(Small(6));
  absl::flat_hash_map<std::string, absl::Time> came;
  for (const Product& product : shop.products) came[product.item.id] = *product.item.create_time;

  std::set<std::string> ids;
  absl::Time last = shop.options.start_time;

  for (const Event& event : shop.events) {
    EXPECT_GE(event.time, last);
    EXPECT_LT(event.time, shop.end_time);
    EXPECT_GE(event.time, came[event.item_id]);
    EXPECT_TRUE(ids.insert(event.event_id).second);
    last = event.time;
  }
  EXPECT_LT(shop.split_time, last);
}

TEST(GenerateShopTest, ShowsPopularProductsFarMoreOftenThanOthers) {
  const Shop shop = Generate();

  absl::flat_hash_map<std::string, int> counts;
  for (const Event& event : shop.events) ++counts[event.item_id];

  std::vector<int> sorted;
  int total = 0;
  for (const auto& [id, count] : counts) sorted.push_back(count), total += count;
  std::sort(sorted.rbegin(), sorted.rend());

  int top_tenth = 0;
  for (size_t i = 0; i < shop.products.size() / 10; ++i) top_tenth += sorted[i];
  EXPECT_GT(top_tenth, total / 4);
}

TEST(GenerateShopTest, MakesShoppersActOnTheirTaste) {
  const Shop shop = Generate();

  absl::flat_hash_map<std::string, const Product*> products;
  for (const Product& product : shop.products) products[product.item.id] = &product;

  absl::flat_hash_map<std::string, const Shopper*> shoppers;
  for (const Shopper& shopper : shop.shoppers) shoppers[shopper.id] = &shopper;

  std::map<std::string, std::pair<double, int>> utilities;
  for (const Event& event : shop.events) {
    auto& [sum, count] = utilities[event.type];
    sum += Utility(*shoppers[event.user_id], *products[event.item_id], event.time);
    ++count;
  }

  const auto mean = [&](const char* type) {
    return utilities[type].first / utilities[type].second;
  };

  EXPECT_LT(mean(kDislike), -0.5);
  EXPECT_GT(mean(kClick), mean(kView));
  EXPECT_GT(mean(kLike), mean(kClick));
  EXPECT_GT(mean(kPurchase), mean(kLike));
}

TEST(GenerateShopTest, LetsTastesDriftDuringTheTrainSpan) {
  const Shop shop = Generate();
  int drifting = 0;
  for (const Shopper& shopper : shop.shoppers) {
    if (shopper.phases.size() == 1) continue;
    ++drifting;
    EXPECT_NE(shopper.phases[0].taste.weights, shopper.phases[1].taste.weights);
    EXPECT_GT(shopper.phases[1].begin, shop.options.start_time);
    EXPECT_LT(shopper.phases[1].begin, shop.split_time);
    EXPECT_EQ(&TasteAt(shopper, shopper.phases[1].begin), &shopper.phases[1].taste);
    EXPECT_EQ(&TasteAt(shopper, shopper.phases[1].begin - absl::Seconds(1)),
              &shopper.phases[0].taste);
  }
  EXPECT_NEAR(drifting, 120, 30);
}

TEST(GenerateShopTest, GivesEveryShopperSomethingLeftToFind) {
  const Shop shop = Generate();
  int without = 0;

  for (const Shopper& shopper : shop.shoppers) {
    GradedItems relevant = TrueRelevance(shop, shopper, shop.split_time);
    for (const std::string& id : SeenBefore(shop, shopper, shop.split_time)) relevant.erase(id);
    without += relevant.size() < 5;
  }
  EXPECT_LT(without, 10);
}

TEST(GenerateShopTest, RefusesOptionsOutOfRangeByName) {
  ShopOptions options;
  options.num_products = 0;
  EXPECT_THAT(std::string(GenerateShop(options).status().message()), HasSubstr("num_products"));
  options = {};
  options.num_shoppers = -1;
  EXPECT_THAT(std::string(GenerateShop(options).status().message()), HasSubstr("num_shoppers"));
  options = {};
  options.test_span = absl::ZeroDuration();
  EXPECT_THAT(std::string(GenerateShop(options).status().message()), HasSubstr("test_span"));
}

TEST(UtilityTest, AddsLikedValuesAndThePriceTerm) {
  const Taste taste = TasteOf({{{"material", "walnut"}, 1.0}, {{"style", "modern"}, 0.5}});

  EXPECT_DOUBLE_EQ(Utility(taste, ProductWith("walnut", "modern")), 1.0 + 0.5 + 0.3);
  EXPECT_DOUBLE_EQ(Utility(taste, ProductWith("brass", "rustic")), 0.3);
  // Twice the upper end of the band is as bad as any price can be.
  EXPECT_DOUBLE_EQ(Utility(taste, ProductWith("brass", "rustic", 160)), -0.9);
  EXPECT_DOUBLE_EQ(Utility(taste, ProductWith("brass", "rustic", 2)), -0.9);
}

TEST(UtilityTest, HalvesWhatIsLikedBesideADislikeUnlessItIsExcused) {
  Taste taste = TasteOf({{{"material", "brass"}, -1.0}, {{"style", "modern"}, 0.8}});

  EXPECT_DOUBLE_EQ(Utility(taste, ProductWith("brass", "modern")), 0.4 - 1.0 + 0.3);
  taste.excused = {"material", "brass"};
  taste.excuse = {"style", "modern"};
  EXPECT_DOUBLE_EQ(Utility(taste, ProductWith("brass", "modern")), 0.8 + 0.3);
  EXPECT_DOUBLE_EQ(Utility(taste, ProductWith("brass", "rustic")), -1.0 + 0.3);
}

TEST(UtilityTest, PaysALikedPairMoreThanItsParts) {
  Taste taste = TasteOf({{{"material", "walnut"}, 1.0}, {{"style", "modern"}, 1.0}});

  taste.pair_first = {"style", "modern"};
  taste.pair_second = {"material", "walnut"};
  EXPECT_DOUBLE_EQ(Utility(taste, ProductWith("walnut", "modern")), 2.0 + 0.8 + 0.3);
  EXPECT_DOUBLE_EQ(Utility(taste, ProductWith("walnut", "rustic")), 1.0 + 0.3);
}

TEST(HeldOutInteractionsTest, GradesTheStrongestNewInteractionAndDropsRejectedItems) {
  Shop shop = Generate(Small(9));

  shop.events.clear();
  const Shopper& shopper = shop.shoppers[0];

  const auto add = [&](const char* type, size_t product, absl::Duration after_split) {
    Event event;
    event.user_id = shopper.id;
    event.item_id = shop.products[product].item.id;
    event.type = type;
    event.time = shop.split_time + after_split;
    shop.events.push_back(event);
  };

  add(kClick, 0, -absl::Hours(1));
  add(kView, 1, -absl::Hours(1));
  add(kPurchase, 0, absl::Hours(1));  // seen before the split: no discovery
  add(kClick, 1, absl::Hours(1));
  add(kCart, 1, absl::Hours(2));
  add(kPurchase, 2, absl::ZeroDuration());
  add(kClick, 3, absl::Hours(1));
  add(kDislike, 3, absl::Hours(2));
  add(kView, 4, absl::Hours(1));

  const GradedItems graded = HeldOutInteractions(shop, shopper);
  EXPECT_EQ(graded.size(), 2u);
  EXPECT_EQ(graded.at(shop.products[1].item.id), 2);
  EXPECT_EQ(graded.at(shop.products[2].item.id), 3);
}

TEST(VocabularyTest, StaysWithinAFewHundredSharedWords) {
  std::set<std::string> words;
  for (const auto& material : Materials()) words.insert(material.name);
  for (const auto& color : Colors()) words.insert(color.name);
  for (const auto* list :
       {&Styles(), &Patterns(), &Features(), &Occasions(), &Categories(), &PriceLevels()})
    words.insert(list->begin(), list->end());
  EXPECT_GT(words.size(), 100u);
  EXPECT_LT(words.size(), 300u);
}

TEST(VocabularyTest, KnowsEveryMaterialCategoryAndFeatureOfEveryKind) {
  for (const KindWord& kind : Kinds()) {
    EXPECT_THAT(Categories(), Contains(kind.category));
    EXPECT_THAT(kind.features, Not(IsEmpty()));
    EXPECT_LT(kind.low_price, kind.high_price);
    for (const std::string& material : kind.materials)
      EXPECT_EQ(FindMaterial(material).name, material);
    for (const std::string& occasion : OccasionsOf(kind))
      EXPECT_THAT(Occasions(), Contains(occasion));
  }
}

}  // namespace
}  // namespace palate::demo
