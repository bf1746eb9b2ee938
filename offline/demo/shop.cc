#include "offline/demo/shop.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "offline/demo/products.h"
#include "offline/demo/random.h"
#include "offline/demo/shoppers.h"

namespace palate::demo {
namespace {

absl::Status Check(const ShopOptions& options) {
  if (options.num_products < 1 || options.num_products > 1'000'000) {
    return InvalidField("num_products", absl::StrCat("is ", options.num_products), "1 to 1000000");
  }
  if (options.num_shoppers < 0 || options.num_shoppers > 1'000'000) {
    return InvalidField("num_shoppers", absl::StrCat("is ", options.num_shoppers), "0 to 1000000");
  }

  for (const auto& [name, span] :
       {std::pair("train_span", options.train_span), std::pair("test_span", options.test_span)}) {
    if (span < absl::Hours(1) || span > absl::Hours(24 * 3650)) {
      return InvalidField(name, absl::StrCat("is ", absl::FormatDuration(span)),
                          "one hour to ten years");
    }
  }
  return absl::OkStatus();
}

bool Contains(const std::vector<AttributeWord>& words, const AttributeWord& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// 0.3 inside the price band, falling to -0.9 at twice its upper or half its lower end.
double PriceTerm(const Taste& taste, double price) {
  double beyond = 0;
  if (price > taste.high_price) beyond = std::log2(price / taste.high_price);
  if (price < taste.low_price) beyond = std::log2(taste.low_price / price);
  return 0.3 - 1.2 * std::min(1.0, beyond);
}

std::string JoinWords(const Taste& taste, bool liked, const char* last) {
  std::vector<std::pair<double, std::string>> strongest;
  for (const auto& [word, weight] : taste.weights) {
    if ((weight > 0) == liked) strongest.emplace_back(-std::abs(weight), word.value);
  }
  std::sort(strongest.begin(), strongest.end());

  std::string joined;
  for (size_t i = 0; i < strongest.size(); ++i) {
    absl::StrAppend(&joined,
                    i == 0                     ? ""
                    : i + 1 < strongest.size() ? ", "
                                               : last,
                    strongest[i].second);
  }
  return joined;
}

double InteractionGrade(const Event& event) {
  if (event.type == kPurchase) return 3;
  if (event.type == kLike || event.type == kCart) return 2;
  return event.type == kClick ? 1 : 0;
}

}  // namespace

Catalog CatalogSpec(const std::string& catalog_id) {
  Catalog catalog;
  catalog.id = catalog_id;
  catalog.display_name = "Generated demo shop";

  for (const char* name : {"brand", "category", "kind", "material", "style", "color", "pattern",
                           "occasion", "price_level"}) {
    catalog.attributes.push_back(
        {.name = name, .type = AttributeType::kString, .filterable = true});
  }
  catalog.attributes.push_back(
      {.name = "features", .type = AttributeType::kStringList, .filterable = true});
  catalog.attributes.push_back(
      {.name = "price", .type = AttributeType::kDouble, .filterable = true});

  catalog.event_types = {
      {.name = kView, .weight = 0.1, .marks_seen = false, .value_is_rating = false},
      {.name = kClick, .weight = 0.5, .marks_seen = true, .value_is_rating = false},
      {.name = kLike, .weight = 1.5, .marks_seen = true, .value_is_rating = false},
      {.name = kCart, .weight = 1.2, .marks_seen = true, .value_is_rating = false},
      {.name = kPurchase, .weight = 2.0, .marks_seen = true, .value_is_rating = false},
      {.name = kDislike, .weight = -2.0, .marks_seen = true, .value_is_rating = false},
  };

  catalog.spaces = DefaultSpaces();
  // The smallest weight that `palate-train weights` cannot tell from the best on validation shops.
  catalog.rerank_weight = 0.8;
  return catalog;
}

absl::StatusOr<Shop> GenerateShop(const ShopOptions& options) {
  PALATE_RETURN_IF_ERROR(Check(options));

  Shop shop;
  shop.options = options;
  shop.catalog = CatalogSpec("demo");
  shop.products = GenerateProducts(options);
  shop.shoppers = GenerateShoppers(options, shop.products);
  shop.split_time = options.start_time + options.train_span;
  shop.end_time = shop.split_time + options.test_span;

  for (size_t i = 0; i < shop.shoppers.size(); ++i) {
    for (Event& event : SimulateEvents(options, shop.products, shop.shoppers[i], i)) {
      if (event.time < shop.end_time) shop.events.push_back(std::move(event));
    }
  }

  std::stable_sort(shop.events.begin(), shop.events.end(),
                   [](const Event& a, const Event& b) { return a.time < b.time; });
  return shop;
}

bool IsHeldOutCombination(const std::string& kind, const std::string& material,
                          const std::string& style) {
  return Random::ForPart(0, absl::StrCat(kind, "|", material, "|", style)).Next() % 5 == 0;
}

const Taste& TasteAt(const Shopper& shopper, absl::Time time) {
  size_t phase = 0;
  while (phase + 1 < shopper.phases.size() && shopper.phases[phase + 1].begin <= time) ++phase;
  return shopper.phases[phase].taste;
}

double Utility(const Taste& taste, const Product& product) {
  const std::vector<AttributeWord>& words = product.words;

  double liked = 0, disliked = 0;
  for (const AttributeWord& word : words) {
    const auto found = taste.weights.find(word);
    if (found == taste.weights.end()) continue;
    if (found->second > 0) liked += found->second;
    if (found->second < 0 && !(word == taste.excused && Contains(words, taste.excuse)))
      disliked += found->second;
  }

  if (Contains(words, taste.pair_first) && Contains(words, taste.pair_second)) liked += 0.8;
  if (disliked < 0) liked *= 0.5;
  return liked + disliked + PriceTerm(taste, product.price);
}

double Utility(const Shopper& shopper, const Product& product, absl::Time time) {
  return Utility(TasteAt(shopper, time), product);
}

int RelevanceGrade(double utility) {
  return utility >= 2.6 ? 3 : utility >= 2.1 ? 2 : utility >= 1.6 ? 1 : 0;
}

GradedItems TrueRelevance(const Shop& shop, const Shopper& shopper, absl::Time time) {
  const Taste& taste = TasteAt(shopper, time);

  GradedItems graded;
  for (const Product& product : shop.products) {
    if (const int grade = RelevanceGrade(Utility(taste, product)); grade > 0)
      graded[product.item.id] = grade;
  }
  return graded;
}

GradedItems HeldOutInteractions(const Shop& shop, const Shopper& shopper) {
  const absl::flat_hash_set<std::string> seen = SeenBefore(shop, shopper, shop.split_time);
  GradedItems graded;
  absl::flat_hash_set<std::string> rejected;

  for (const Event& event : shop.events) {
    if (event.user_id != shopper.id || event.time < shop.split_time || seen.contains(event.item_id))
      continue;
    if (event.type == kDislike) rejected.insert(event.item_id);
    if (const double grade = InteractionGrade(event); grade > 0)
      graded[event.item_id] = std::max(graded[event.item_id], grade);
  }

  for (const std::string& id : rejected) graded.erase(id);
  return graded;
}

absl::flat_hash_set<std::string> SeenBefore(const Shop& shop, const Shopper& shopper,
                                            absl::Time time) {
  absl::flat_hash_map<std::string, bool> marks_seen;
  for (const EventTypeDeclaration& type : shop.catalog.event_types)
    marks_seen[type.name] = type.marks_seen;

  absl::flat_hash_set<std::string> seen;
  for (const Event& event : shop.events) {
    if (event.user_id == shopper.id && event.time < time && marks_seen[event.type])
      seen.insert(event.item_id);
  }
  return seen;
}

std::string DescribeTaste(const Taste& taste) {
  std::string text = absl::StrCat("likes ", JoinWords(taste, true, " and "));
  if (const std::string avoided = JoinWords(taste, false, " and "); !avoided.empty())
    absl::StrAppend(&text, "; avoids ", avoided);
  return absl::StrFormat("%s; %.0f to %.0f euros", text, taste.low_price, taste.high_price);
}

}  // namespace palate::demo
