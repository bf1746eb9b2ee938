// The generated shop: products, shoppers whose hidden tastes drift, and the shoppers' events. It
// has ground truth: how much each shopper wants each product is known.
//
// The shop depends only on ShopOptions: the same options give the same shop, byte for byte, on
// machines with the same libm. Shops with other seeds have other products, brands and shoppers,
// over the same attribute vocabulary (vocabulary.h). All types are plain values; the functions are
// thread-safe. Prices are in euros. Generating a shop of 400 products and 200 shoppers takes about
// 0.1 s; pictures are drawn separately, on demand (picture.h).
//
// How a shopper decides: Utility() is the sum of the weights that the shopper's current taste gives
// to the product's attribute values, plus a price term. Two interactions make it more than a sum: a
// pair of liked values is worth more together, and a disliked value halves the liked part unless a
// certain excusing value is present. Popularity affects which products a shopper sees and which
// values a new taste is built from; it is not part of the utility.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const Shop shop, GenerateShop({.seed = 7, .num_products = 150}));
//   const Shopper& shopper = shop.shoppers.front();
//   const GradedItems wanted = TrueRelevance(shop, shopper, shop.split_time);
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "domain/catalog.h"
#include "domain/event.h"
#include "domain/item.h"

namespace palate::demo {

// Which (kind, material, style) combinations a shop may use. One combination in five, fixed for all
// seeds, is held out: a model trained on kTraining shops has never seen a product of a kHeldOut
// shop, nor one that differs from it only in color, pattern, features or price.
enum class Combinations { kAll, kTraining, kHeldOut };

struct ShopOptions {
  uint64_t seed = 1;
  int num_products = 400;  // at least 1
  int num_shoppers = 200;  // 0 for a catalog alone
  Combinations combinations = Combinations::kAll;
  absl::Time start_time = absl::FromUnixSeconds(1735689600);  // 2025-01-01 00:00 UTC
  absl::Duration train_span = absl::Hours(24 * 60);
  absl::Duration test_span = absl::Hours(24 * 14);
  // Median over shoppers; each shopper has between a third and three times as many.
  double sessions_per_week = 1.6;
  double products_per_session = 8;  // looked at; a session has half to one and a half times as many
  // Standard deviation of the noise added to a utility at each decision; a like weighs 0.3 to 1.1.
  double decision_noise = 0.35;
  double drifting_share = 0.6;  // shoppers whose taste changes once during the train span
};

// An attribute and one of its values, such as {"material", "walnut"}. The attributes are category,
// material, style, color, pattern, occasion and feature (one of the features).
struct AttributeWord {
  std::string attribute;
  std::string value;
  auto operator<=>(const AttributeWord&) const = default;
};

struct Product {
  Item item;  // id, title, description, attributes, create_time; no images
  // The same facts as item.attributes, in typed form.
  std::string brand;
  std::string category;
  std::string kind;
  std::string material;
  std::string style;
  std::string color;
  std::string pattern;
  std::string occasion;
  std::vector<std::string> features;  // two or three
  double price = 0;
  // Chance of being seen, relative to the other products; heavy-tailed.
  double popularity = 1;
  // The values that a taste can give a weight to; the category comes first.
  std::vector<AttributeWord> words;
};

struct Taste {
  std::map<AttributeWord, double> weights;  // likes 0.3 to 1.1, dislikes -0.5 to -1.2
  double low_price = 0;                     // the price band that the shopper prefers
  double high_price = 0;
  AttributeWord pair_first;  // two liked values that are worth more together
  AttributeWord pair_second;
  AttributeWord excused;  // a disliked value that does not count ...
  AttributeWord excuse;   // ... if the product also has this liked value
};

struct TastePhase {
  absl::Time begin;  // the phase ends when the next one begins
  Taste taste;
};

struct Shopper {
  std::string id;
  std::vector<TastePhase> phases;  // one, or two when the taste drifted; in time order
  double sessions_per_week = 0;
};

struct Shop {
  ShopOptions options;
  Catalog catalog;  // CatalogSpec("demo"), to declare through the public API
  std::vector<Product> products;
  std::vector<Shopper> shoppers;
  std::vector<Event> events;  // of both spans, in time order; event_id is set
  absl::Time split_time;      // events before it are the train span
  absl::Time end_time;
};

// Event type names of the shop's catalog.
inline constexpr char kView[] = "view";    // looked at without opening; does not mark as seen
inline constexpr char kClick[] = "click";  // opened the product's page
inline constexpr char kLike[] = "like";
inline constexpr char kCart[] = "cart";
inline constexpr char kPurchase[] = "purchase";
inline constexpr char kDislike[] = "dislike";  // "not interested"

// Declares the attributes, event types (with weights) and spaces of every generated shop.
Catalog CatalogSpec(const std::string& catalog_id);

// InvalidArgument when a count or a span is out of range.
absl::StatusOr<Shop> GenerateShop(const ShopOptions& options);

// Whether Combinations::kHeldOut has the combination.
bool IsHeldOutCombination(const std::string& kind, const std::string& material,
                          const std::string& style);

// The shopper's taste at that time.
const Taste& TasteAt(const Shopper& shopper, absl::Time time);

// How much the shopper wants the product at that time, without noise. 0.3 for a product in the
// price band without liked or disliked values; each liked value adds its weight.
double Utility(const Taste& taste, const Product& product);
double Utility(const Shopper& shopper, const Product& product, absl::Time time);

// 0 not relevant, 1 would open it, 2 would like it, 3 would buy it.
int RelevanceGrade(double utility);

// Item id to grade (above 0 only).
using GradedItems = absl::flat_hash_map<std::string, double>;

// Ground truth by taste: every product that the shopper would want at `time`, including seen ones.
GradedItems TrueRelevance(const Shop& shop, const Shopper& shopper, absl::Time time);

// Ground truth by interaction: the strongest event in the test span on each product that was not
// seen before it: 1 click, 2 like or cart, 3 purchase. A product with a dislike in the test span is
// not relevant.
GradedItems HeldOutInteractions(const Shop& shop, const Shopper& shopper);

// Products with an event that marks them as seen before `time`.
absl::flat_hash_set<std::string> SeenBefore(const Shop& shop, const Shopper& shopper,
                                            absl::Time time);

// The taste in words: "likes walnut, minimalist and waterproof; avoids brass; 40 to 80 euros".
std::string DescribeTaste(const Taste& taste);

}  // namespace palate::demo
