// The one vocabulary of all generated shops: product kinds and the words that describe them.
//
// Every shop, whatever its seed, draws its attribute words from these few hundred words; brands,
// model names, prices and combinations vary freely. That is what makes matching a taste to a
// product learnable for a very small language model. All functions return references to constants:
// thread-safe.
#pragma once

#include <string>
#include <vector>

namespace palate::demo {

// How a material is drawn and what it may be used for.
enum class MaterialFamily { kWood, kMetal, kFabric, kLeather, kCeramic, kGlass, kPlastic, kWoven };

struct MaterialWord {
  std::string name;
  MaterialFamily family;
  unsigned rgb = 0;  // its natural color, 0xRRGGBB
};

struct ColorWord {
  std::string name;
  unsigned rgb = 0;
};

// A sort of product that has its own drawing.
struct KindWord {
  std::string name;      // "table lamp"
  std::string category;  // "lighting"
  double low_price = 0;  // usual price range
  double high_price = 0;
  std::vector<std::string> materials;
  std::vector<std::string> features;
  bool plural = false;  // "sneakers are", "a mug is"
};

const std::vector<KindWord>& Kinds();          // 20 kinds, two a category
const std::vector<std::string>& Categories();  // 10
const std::vector<MaterialWord>& Materials();  // 26
const std::vector<ColorWord>& Colors();        // 16
const std::vector<std::string>& Styles();      // 16
const std::vector<std::string>& Patterns();    // 8, the first is "plain"
const std::vector<std::string>&
Features();  // every word that some kind lists, in alphabetical order
const std::vector<std::string>& Occasions();                        // 12
const std::vector<std::string>& OccasionsOf(const KindWord& kind);  // a part of them that fits

// "budget" below 30, "mid-range" below 60, "premium" below 120, else "luxury".
const std::string& PriceLevel(double price);
const std::vector<std::string>& PriceLevels();

// The entry with that name; a name that the vocabulary lacks is a bug of the caller and ends the
// process.
const KindWord& FindKind(const std::string& name);
const MaterialWord& FindMaterial(const std::string& name);
const ColorWord& FindColor(const std::string& name);

}  // namespace palate::demo
