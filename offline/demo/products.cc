#include "offline/demo/products.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "offline/demo/random.h"
#include "offline/demo/vocabulary.h"

namespace palate::demo {
namespace {

struct Brand {
  std::string name;
  std::vector<std::string> styles;  // those that it uses most
};

std::string Capitalized(std::string text) {
  if (!text.empty()) text[0] = absl::ascii_toupper(static_cast<unsigned char>(text[0]));
  return text;
}

std::string TitleCase(const std::string& text) {
  std::vector<std::string> words = absl::StrSplit(text, ' ');
  for (std::string& word : words) word = Capitalized(std::move(word));
  return absl::StrJoin(words, " ");
}

// An invented name. The syllables avoid real brands that we know of.
std::string InventName(Random& random, bool is_long) {
  static const auto& starts =
      *new std::vector<std::string>{"Bra", "Cor", "Dal", "Elm",  "Fen", "Gri", "Hol",  "Iv",  "Jun",
                                    "Kel", "Lum", "Mor", "Nor",  "Ost", "Pel", "Quin", "Ras", "Sol",
                                    "Tam", "Ul",  "Vel", "Wren", "Yar", "Zin", "Thal", "Sken"};
  static const auto& middles = *new std::vector<std::string>{
      "a", "e", "i", "o", "u", "ara", "edi", "ima", "ovi", "une", "ela", "osti"};

  static const auto& ends =
      *new std::vector<std::string>{"dra",  "vik", "mora", "lund", "sen", "tell", "ra",
                                    "ness", "by",  "wick", "lo",   "na",  "fell", "ste"};

  std::string name = random.Pick(starts);
  if (is_long) name += random.Pick(middles);
  return name + random.Pick(ends);
}

std::vector<Brand> InventBrands(Random& random, int count) {
  std::vector<Brand> brands;
  absl::flat_hash_set<std::string> taken;
  while (static_cast<int>(brands.size()) < count) {
    Brand brand{.name = InventName(random, /*is_long=*/true),
                .styles = {random.Pick(Styles()), random.Pick(Styles())}};
    if (taken.insert(brand.name).second) brands.push_back(std::move(brand));
  }
  return brands;
}

bool Allowed(Combinations combinations, const Product& product) {
  if (combinations == Combinations::kAll) return true;
  return IsHeldOutCombination(product.kind, product.material, product.style) ==
         (combinations == Combinations::kHeldOut);
}

// Weights of the values of one attribute: some are more common than others, and differently so in
// each shop.
std::vector<double> UnevenShares(Random& random, size_t count) {
  std::vector<double> shares(count);
  for (double& share : shares) share = std::exp(0.5 * random.Normal());
  return shares;
}

void ChooseFeatures(Random& random, const KindWord& kind, Product& product) {
  std::vector<std::string> pool = kind.features;
  random.Shuffle(pool);
  pool.resize(random.Chance(0.4) ? 3 : 2);
  product.features = std::move(pool);
}

// Log-uniform over the kind's price range, with an ending that is usual for prices: .00, .50, .90
// or .95.
double ChoosePrice(Random& random, const KindWord& kind) {
  const double raw = std::exp(random.Uniform(std::log(kind.low_price), std::log(kind.high_price)));
  static constexpr double kEndings[] = {0.0, 0.5, 0.9, 0.95};
  return std::round((std::floor(raw) + kEndings[random.Index(4)]) * 100) / 100;
}

std::string Title(Random& random, const Product& product, const std::string& model) {
  const std::string kind = TitleCase(product.kind);
  const std::string material = TitleCase(product.material);
  const std::string style = TitleCase(product.style);
  const std::string color = TitleCase(product.color);

  switch (random.Index(4)) {
    case 0:
      return absl::StrCat(product.brand, " ", model, " ", material, " ", kind);
    case 1:
      return absl::StrCat(product.brand, " ", model, " ", style, " ", kind, " in ", color);
    case 2:
      return absl::StrCat(product.brand, " ", model, " ", color, " ", material, " ", kind);
    default:
      return absl::StrCat(product.brand, " ", style, " ", kind, " ", model, ", ", color);
  }
}

std::string OccasionSentence(Random& random, const std::string& occasion, bool plural) {
  const std::string they = plural ? "They are" : "It is";
  const bool is_place = occasion == "office" || occasion == "living room" ||
                        occasion == "bedroom" || occasion == "balcony";
  const std::string what = is_place                ? absl::StrCat("the ", occasion)
                           : occasion == "party"   ? "a party"
                           : occasion == "weekend" ? "the weekend"
                           : occasion == "family"  ? "the whole family"
                                                   : occasion;

  switch (random.Index(3)) {
    case 0:
      return absl::StrCat(they, " made for ", what, ".");
    case 1:
      return absl::StrCat("A good choice for ", what, ".");
    default:
      return absl::StrCat("Works well for ", what, ".");
  }
}

std::string Description(Random& random, const Product& product, const KindWord& kind) {
  const std::string they_are = kind.plural ? "they are" : "it is";
  const std::string features = product.features.size() == 2
                                   ? absl::StrCat(product.features[0], " and ", product.features[1])
                                   : absl::StrCat(product.features[0], ", ", product.features[1],
                                                  " and ", product.features[2]);

  std::string first;
  switch (random.Index(3)) {
    case 0:
      first = absl::StrCat(Capitalized(product.style), " ", kind.name, " made of ",
                           product.material, ", finished in ", product.color, ".");
      break;
    case 1:
      first = absl::StrCat(Capitalized(product.color), " ", kind.name, " of ", product.material,
                           " with a ", product.style, " look.");
      break;
    default:
      first =
          absl::StrCat(product.brand, " makes ", kind.plural ? "these " : "this ", product.style,
                       " ", kind.name, " from ", product.material, " in ", product.color, ".");
  }

  const std::string surface = product.pattern == "plain"
                                  ? "The surface is plain"
                                  : absl::StrCat("The design is ", product.pattern);
  std::string second =
      random.Chance(0.5)
          ? absl::StrCat(surface, "; ", they_are, " ", features, ".")
          : absl::StrCat(Capitalized(features), "; ", absl::AsciiStrToLower(surface.substr(0, 1)),
                         surface.substr(1), ".");

  std::string description = absl::StrCat(first, " ", second);
  if (random.Chance(0.8))
    absl::StrAppend(&description, " ", OccasionSentence(random, product.occasion, kind.plural));
  return description;
}

std::vector<AttributeWord> WordsOf(const Product& product) {
  std::vector<AttributeWord> words = {
      {"category", product.category}, {"material", product.material},
      {"style", product.style},       {"color", product.color},
      {"pattern", product.pattern},   {"occasion", product.occasion}};
  for (const std::string& feature : product.features) words.push_back({"feature", feature});
  return words;
}

// The shop's fashion: what each value of a few attributes adds to the logarithm of a product's
// popularity.
class Fashion {
 public:
  explicit Fashion(Random random) : random_(random) {}

  double Of(const Product& product) {
    double sum = 0;
    for (const std::string* value :
         {&product.category, &product.material, &product.style, &product.color}) {
      const auto [found, is_new] = weights_.try_emplace(*value, 0.0);
      if (is_new) found->second = 0.5 * random_.Normal();
      sum += found->second;
    }
    return sum;
  }

 private:
  Random random_;
  absl::flat_hash_map<std::string, double> weights_;
};

Attributes AttributesOf(const Product& product) {
  return {{"brand", product.brand},
          {"category", product.category},
          {"kind", product.kind},
          {"material", product.material},
          {"style", product.style},
          {"color", product.color},
          {"pattern", product.pattern},
          {"occasion", product.occasion},
          {"features", product.features},
          {"price", product.price},
          {"price_level", PriceLevel(product.price)}};
}

}  // namespace

std::vector<Product> GenerateProducts(const ShopOptions& options) {
  Random random = Random::ForPart(options.seed, "products");
  const std::vector<Brand> brands =
      InventBrands(random, std::max(3, std::min(options.num_products, 4000) / 12));
  const std::vector<double> kind_shares = UnevenShares(random, Kinds().size());
  const std::vector<double> style_shares = UnevenShares(random, Styles().size());
  const std::vector<double> color_shares = UnevenShares(random, Colors().size());
  std::vector<double> pattern_shares = UnevenShares(random, Patterns().size());
  pattern_shares[0] = 4;  // plain is the most common pattern

  Fashion fashion(Random::ForPart(options.seed, "fashion"));
  std::vector<Product> products;
  products.reserve(options.num_products);
  while (static_cast<int>(products.size()) < options.num_products) {
    const KindWord& kind = Kinds()[random.Weighted(kind_shares)];
    const Brand& brand = random.Pick(brands);
    Product product;
    product.brand = brand.name;
    product.category = kind.category;
    product.kind = kind.name;
    product.material = random.Pick(kind.materials);
    product.style =
        random.Chance(0.4) ? random.Pick(brand.styles) : Styles()[random.Weighted(style_shares)];
    if (!Allowed(options.combinations, product)) continue;
    product.color = Colors()[random.Weighted(color_shares)].name;
    product.pattern = Patterns()[random.Weighted(pattern_shares)];
    product.occasion = random.Pick(OccasionsOf(kind));
    ChooseFeatures(random, kind, product);
    product.price = ChoosePrice(random, kind);
    product.popularity = std::exp(0.8 * random.Normal() + fashion.Of(product));
    product.words = WordsOf(product);

    Item& item = product.item;
    item.id = absl::StrFormat("%s-%04d", absl::StrReplaceAll(kind.name, {{" ", "-"}}),
                              products.size() + 1);
    item.title = Title(random, product, InventName(random, /*is_long=*/false));
    item.description = Description(random, product, kind);
    item.attributes = AttributesOf(product);
    // Four of five products are older than the first event; the others arrive during the train
    // span.
    const double age = random.Chance(0.8) ? -random.Uniform(0.5, 4) : random.Uniform(0, 0.95);
    item.create_time = options.start_time +
                       absl::Seconds(std::floor(age * absl::ToDoubleSeconds(options.train_span)));

    products.push_back(std::move(product));
  }
  return products;
}

}  // namespace palate::demo
