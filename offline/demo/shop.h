// The generated shop: products, shoppers with hidden tastes that drift, and what the shoppers did.
// The truth is known.
//
// Everything follows from ShopOptions: the same options give the same shop, byte for byte, on every
// machine of one libm. Shops with other seeds have other products, brands and shoppers, over the
// same attribute vocabulary (vocabulary.h). All types are plain values; the functions are
// thread-safe. Prices are in euros. A shop of 400 products and 200 shoppers takes about a tenth of
// a second to make; pictures are drawn apart and on demand (picture.h).
//
// How a shopper decides: Utility() is the sum of the weights of a product's attribute values in the
// taste that holds at that time, plus a price term, with two interactions that no sum of parts has:
// a pair of liked values that is worth more together, and a disliked value that halves what is
// liked unless a certain excusing value is present. Popularity steers what a shopper comes across,
// never what they like.
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
  double sessions_per_week =
      1.6;  // mean over shoppers; single shoppers lie between a third and three times that
  double products_per_session = 8;  // looked at, most of them in passing
  // Standard deviation of what is added to a utility at each decision; likes weigh about 1.
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
  // Chance of being come across, relative to the other products; heavy-tailed.
  double popularity = 1;
  // All that a taste can give a weight to; the category comes first.
  std::vector<AttributeWord> words;
};

struct Taste {
  std::map<AttributeWord, double> weights;  // likes above 0 (about 1), dislikes below 0 (about -1)
  double low_price = 0;                     // the band that the shopper is comfortable with
  double high_price = 0;
  AttributeWord pair_first;  // two liked values that are worth more together
  AttributeWord pair_second;
  AttributeWord excused;  // a disliked value that is forgiven ...
  AttributeWord excuse;   // ... when this liked value is there too
};

struct TastePhase {
  absl::Time begin;  // holds until the next phase begins
  Taste taste;
};

struct Shopper {
  std::string id;
  std::vector<TastePhase> phases;  // one, or two when the taste drifted; in time order
  double sessions_per_week = 0;
};

struct Shop {
  ShopOptions options;
  Catalog catalog;  // what to declare through the public API; CatalogSpec() of the shop's id
  std::vector<Product> products;
  std::vector<Shopper> shoppers;
  std::vector<Event> events;  // of both spans, in time order; event_id is set
  absl::Time split_time;      // events before it are the train span
  absl::Time end_time;
};

// Event type names of the shop's catalog.
inline constexpr char kView[] = "view";  // looked at in passing; says little; does not mark as seen
inline constexpr char kClick[] = "click";  // opened the product's page
inline constexpr char kLike[] = "like";
inline constexpr char kCart[] = "cart";
inline constexpr char kPurchase[] = "purchase";
inline constexpr char kDislike[] = "dislike";  // "not interested"

// Declares the attributes, event types (with weights) and spaces of every generated shop.
Catalog CatalogSpec(const std::string& catalog_id);

// InvalidArgument when a count or a span is out of range.
absl::StatusOr<Shop> GenerateShop(const ShopOptions& options);

// Whether the combination is one of the held-out fifth.
bool IsHeldOutCombination(const std::string& kind, const std::string& material,
                          const std::string& style);

// The taste that holds for the shopper at that time.
const Taste& TasteAt(const Shopper& shopper, absl::Time time);

// How much the shopper truly wants the product at that time, without noise. About 0 for an
// indifferent one, 1 for one liked value.
double Utility(const Taste& taste, const Product& product);
double Utility(const Shopper& shopper, const Product& product, absl::Time time);

// 0 not relevant, 1 would open it, 2 would like it, 3 would buy it.
int RelevanceGrade(double utility);

// Item id to grade (above 0 only).
using GradedItems = absl::flat_hash_map<std::string, double>;

// Truth by taste: every product that the shopper would want at `time`, seen ones included.
GradedItems TrueRelevance(const Shop& shop, const Shopper& shopper, absl::Time time);

// Truth by interaction: what the shopper did from split_time on with products not seen before it: 1
// click, 2 like or cart, 3 purchase. A product that got a dislike in the test span is not relevant.
GradedItems HeldOutInteractions(const Shop& shop, const Shopper& shopper);

// Products with an event that marks them as seen before `time`.
absl::flat_hash_set<std::string> SeenBefore(const Shop& shop, const Shopper& shopper,
                                            absl::Time time);

// The taste as a person would note it: "likes walnut, minimalist and waterproof; avoids brass; 40
// to 80 euros".
std::string DescribeTaste(const Taste& taste);

}  // namespace palate::demo
