#include "offline/demo/vocabulary.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/log.h"

namespace palate::demo {
namespace {

using Words = std::vector<std::string>;

template <typename Entry>
const Entry& FindByName(const std::vector<Entry>& entries, const std::string& name) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const Entry& entry) { return entry.name == name; });
  if (found == entries.end()) {
    spdlog::critical("'{}' is not a word of the demo vocabulary", name);
    std::abort();
  }
  return *found;
}

}  // namespace

const std::vector<KindWord>& Kinds() {
  static const auto& kinds = *new std::vector<KindWord>{
      {"table lamp",
       "lighting",
       25,
       160,
       {"walnut", "oak", "bamboo", "brass", "steel", "copper", "stoneware", "glass", "rattan"},
       {"dimmable", "adjustable", "rechargeable", "touch-controlled", "compact", "handmade",
        "energy-saving"}},
      {"pendant lamp",
       "lighting",
       30,
       180,
       {"brass", "copper", "steel", "aluminium", "glass", "rattan", "bamboo", "porcelain", "felt"},
       {"dimmable", "adjustable", "oversized", "glare-free", "handmade", "energy-saving"}},
      {"armchair",
       "seating",
       90,
       320,
       {"walnut", "oak", "teak", "velvet", "linen", "leather", "wool", "rattan", "suede"},
       {"reclining", "swivelling", "padded", "stain-resistant", "oversized", "handmade"}},
      {"stool",
       "seating",
       30,
       160,
       {"walnut", "oak", "birch", "teak", "bamboo", "steel", "rattan", "bioplastic"},
       {"stackable", "foldable", "adjustable", "swivelling", "lightweight", "padded", "handmade"}},
      {"mug",
       "kitchen",
       8,
       40,
       {"stoneware", "porcelain", "terracotta", "glass", "steel", "copper", "bamboo"},
       {"dishwasher-safe", "insulated", "stackable", "double-walled", "leakproof", "oversized",
        "handmade"}},
      {"teapot",
       "kitchen",
       18,
       90,
       {"stoneware", "porcelain", "terracotta", "glass", "steel", "copper", "brass"},
       {"dishwasher-safe", "insulated", "drip-free", "double-walled", "compact", "handmade"}},
      {"backpack",
       "bags",
       30,
       160,
       {"canvas", "leather", "denim", "suede", "felt", "wool", "bioplastic"},
       {"waterproof", "padded", "foldable", "reflective", "lightweight", "rolltop", "lockable",
        "expandable"}},
      {"tote bag",
       "bags",
       12,
       110,
       {"cotton", "linen", "canvas", "leather", "jute", "felt", "denim", "suede"},
       {"foldable", "washable", "zipped", "reversible", "lightweight", "organic", "waterproof",
        "fair-trade"}},
      {"sneakers",
       "footwear",
       35,
       170,
       {"canvas", "leather", "suede", "wool", "cotton", "denim", "bioplastic"},
       {"breathable", "lightweight", "vegan", "waterproof", "cushioned", "reflective", "washable",
        "wide-fitting"},
       true},
      {"ankle boots",
       "footwear",
       55,
       220,
       {"leather", "suede", "canvas", "wool", "denim", "velvet"},
       {"waterproof", "insulated", "zipped", "cushioned", "non-slip", "vegan", "handmade"},
       true},
      {"jacket",
       "clothing",
       45,
       280,
       {"denim", "wool", "cotton", "linen", "leather", "suede", "canvas", "velvet"},
       {"hooded", "waterproof", "windproof", "quilted", "reversible", "insulated", "breathable",
        "reflective"}},
      {"beanie",
       "clothing",
       10,
       60,
       {"wool", "cotton", "felt", "linen", "velvet", "denim"},
       {"washable", "reversible", "organic", "hand-knitted", "itch-free", "insulated",
        "reflective"}},
      {"headphones",
       "audio",
       25,
       260,
       {"aluminium", "steel", "walnut", "oak", "bamboo", "leather", "bioplastic"},
       {"wireless", "noise-cancelling", "foldable", "rechargeable", "lightweight", "cushioned",
        "waterproof"},
       true},
      {"speaker",
       "audio",
       25,
       240,
       {"walnut", "oak", "bamboo", "aluminium", "felt", "linen", "concrete", "bioplastic"},
       {"wireless", "waterproof", "rechargeable", "compact", "touch-controlled", "solar-powered",
        "shockproof"}},
      {"wristwatch",
       "timepieces",
       40,
       320,
       {"steel", "brass", "copper", "aluminium", "leather", "canvas", "walnut"},
       {"waterproof", "luminous", "solar-powered", "automatic", "slim", "scratchproof",
        "shockproof", "engraved"}},
      {"wall clock",
       "timepieces",
       15,
       120,
       {"walnut", "oak", "birch", "brass", "steel", "copper", "concrete", "glass", "felt"},
       {"silent", "luminous", "oversized", "slim", "radio-controlled", "solar-powered",
        "handmade"}},
      {"plant pot",
       "garden",
       8,
       80,
       {"terracotta", "stoneware", "porcelain", "concrete", "rattan", "copper", "teak", "jute"},
       {"self-watering", "frost-proof", "draining", "stackable", "lightweight", "oversized",
        "handmade"}},
      {"watering can",
       "garden",
       12,
       70,
       {"steel", "copper", "brass", "aluminium", "bioplastic"},
       {"leakproof", "drip-free", "stackable", "lightweight", "frost-proof", "long-necked",
        "compact"}},
      {"rug",
       "textiles",
       30,
       300,
       {"wool", "cotton", "jute", "linen", "felt", "velvet"},
       {"washable", "reversible", "non-slip", "stain-resistant", "organic", "fair-trade",
        "handmade"}},
      {"cushion",
       "textiles",
       12,
       70,
       {"linen", "cotton", "velvet", "wool", "leather", "felt", "denim"},
       {"washable", "reversible", "organic", "zipped", "fair-trade", "padded", "stain-resistant"}},
  };

  return kinds;
}

const Words& Categories() {
  static const auto& categories =
      *new Words{"lighting", "seating", "kitchen",    "bags",   "footwear",
                 "clothing", "audio",   "timepieces", "garden", "textiles"};
  return categories;
}

const std::vector<MaterialWord>& Materials() {
  using enum MaterialFamily;
  static const auto& materials = *new std::vector<MaterialWord>{
      {"walnut", kWood, 0x6E4B34},        {"oak", kWood, 0xC79D6C},
      {"teak", kWood, 0x9C6335},          {"birch", kWood, 0xE5CFA8},
      {"bamboo", kWood, 0xD6B672},        {"brass", kMetal, 0xCDA449},
      {"steel", kMetal, 0xAEB6BD},        {"copper", kMetal, 0xC0764A},
      {"aluminium", kMetal, 0xD2D6DA},    {"cotton", kFabric, 0xEDE8DD},
      {"linen", kFabric, 0xDCD0B6},       {"wool", kFabric, 0xD8CFC0},
      {"canvas", kFabric, 0xCBB88E},      {"velvet", kFabric, 0x7A4A5C},
      {"denim", kFabric, 0x45618A},       {"felt", kFabric, 0x9A9A98},
      {"leather", kLeather, 0x8A5733},    {"suede", kLeather, 0xAC8560},
      {"stoneware", kCeramic, 0xB9AFA0},  {"porcelain", kCeramic, 0xF5F4F1},
      {"terracotta", kCeramic, 0xC56F47}, {"concrete", kCeramic, 0xA6A5A1},
      {"glass", kGlass, 0xCFE3E6},        {"bioplastic", kPlastic, 0xBFC7B8},
      {"rattan", kWoven, 0xC69C63},       {"jute", kWoven, 0xB7935A},
  };
  return materials;
}

const std::vector<ColorWord>& Colors() {
  static const auto& colors = *new std::vector<ColorWord>{
      {"white", 0xF3F1EC},  {"black", 0x2B2B2E}, {"grey", 0x8D9197},     {"cream", 0xEBDDBB},
      {"brown", 0x7A5236},  {"red", 0xC63A31},   {"burgundy", 0x741F31}, {"orange", 0xE17C2F},
      {"yellow", 0xEAC03A}, {"green", 0x3E8B55}, {"olive", 0x7B7C3D},    {"teal", 0x23807F},
      {"blue", 0x3C76BD},   {"navy", 0x24385F},  {"pink", 0xE59BAD},     {"purple", 0x77529C},
  };
  return colors;
}

const Words& Styles() {
  static const auto& styles =
      *new Words{"minimalist", "modern",  "rustic",   "industrial", "scandinavian", "vintage",
                 "bohemian",   "classic", "retro",    "sporty",     "elegant",      "playful",
                 "coastal",    "urban",   "romantic", "futuristic"};
  return styles;
}

const Words& Patterns() {
  static const auto& patterns = *new Words{"plain",  "striped",   "dotted",      "checked",
                                           "floral", "geometric", "herringbone", "marbled"};
  return patterns;
}

const Words& Features() {
  static const auto& features = *new Words([] {
    std::set<std::string> sorted;
    for (const KindWord& kind : Kinds()) sorted.insert(kind.features.begin(), kind.features.end());
    return Words(sorted.begin(), sorted.end());
  }());
  return features;
}

const Words& Occasions() {
  static const auto& occasions =
      *new Words{"office", "living room", "bedroom", "balcony", "gifting",   "party",
                 "family", "travel",      "school",  "weekend", "commuting", "hiking"};
  return occasions;
}

const Words& OccasionsOf(const KindWord& kind) {
  static const auto& home =
      *new Words{"office", "living room", "bedroom", "balcony", "gifting", "party", "family"};
  static const auto& away = *new Words{"office", "gifting", "party",     "travel",
                                       "school", "weekend", "commuting", "hiking"};
  static const Words& away_categories = *new Words{"bags", "footwear", "clothing"};

  const bool goes_along =
      std::count(away_categories.begin(), away_categories.end(), kind.category) > 0 ||
      kind.name == "headphones" || kind.name == "wristwatch";
  return goes_along ? away : home;
}

const Words& PriceLevels() {
  static const auto& levels = *new Words{"budget", "mid-range", "premium", "luxury"};
  return levels;
}

const std::string& PriceLevel(double price) {
  return PriceLevels()[price < 30 ? 0 : price < 60 ? 1 : price < 120 ? 2 : 3];
}

const KindWord& FindKind(const std::string& name) { return FindByName(Kinds(), name); }
const MaterialWord& FindMaterial(const std::string& name) { return FindByName(Materials(), name); }
const ColorWord& FindColor(const std::string& name) { return FindByName(Colors(), name); }

}  // namespace palate::demo
