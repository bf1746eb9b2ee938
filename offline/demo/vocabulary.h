// The one vocabulary of all generated shops: product kinds and the words that describe them.
//
// Every shop draws its attribute words from this list, at every seed; only brands, model names,
// prices and combinations differ. A very small language model can therefore learn to match tastes
// to products. All functions return references to constants: thread-safe.
#pragma once

#include <string>
#include <vector>

namespace palate::demo {

// Decides how a material is drawn and whether it takes dye.
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

// A kind of product. Each has its own drawing.
struct KindWord {
  std::string name;      // "table lamp"
  std::string category;  // "lighting"
  double low_price = 0;  // usual price range
  double high_price = 0;
  std::vector<std::string> materials;
  std::vector<std::string> features;
  bool plural = false;  // "sneakers are", "a mug is"
};

const std::vector<KindWord>& Kinds();          // 20, two per category
const std::vector<std::string>& Categories();  // 10
const std::vector<MaterialWord>& Materials();  // 26
const std::vector<ColorWord>& Colors();        // 16
const std::vector<std::string>& Styles();      // 16
const std::vector<std::string>& Patterns();    // 8, the first is "plain"
// The features of all kinds, without duplicates, in alphabetical order.
const std::vector<std::string>& Features();
const std::vector<std::string>& Occasions();                        // 12
const std::vector<std::string>& OccasionsOf(const KindWord& kind);  // those that fit the kind

// "budget" below 30, "mid-range" below 60, "premium" below 120, else "luxury".
const std::string& PriceLevel(double price);
const std::vector<std::string>& PriceLevels();

// The entry with that name. Aborts the process when the vocabulary has none, which is a bug in the
// caller.
const KindWord& FindKind(const std::string& name);
const MaterialWord& FindMaterial(const std::string& name);
const ColorWord& FindColor(const std::string& name);

}  // namespace palate::demo
