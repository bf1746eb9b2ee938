#include "offline/training/attribute_shuffle.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "offline/demo/random.h"

namespace palate::training {
namespace {

// Numeric attributes of other catalogs, and the scale that turns a price into a plausible value.
struct NumberKind {
  const char* name;
  double factor;
  double offset;
};
constexpr NumberKind kNumbers[] = {{"year", 0.2, 1960}, {"price", 1, 0},     {"minutes", 0.6, 40},
                                   {"pages", 3, 60},    {"rating", 0.01, 2}, {"size", 0.1, 30},
                                   {"weight", 0.05, 0}, {"duration", 2, 10}};

// The values of one attribute of a product; empty for numbers.
std::vector<std::string> TextsOf(const AttributeValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return {*text};
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) return *list;
  return {};
}

}  // namespace

const std::vector<std::string>& AttributeShuffle::AttributeNames() {
  static const auto& names = *new std::vector<std::string>{
      "genres",   "tags",    "topic",    "mood",     "era",   "cuisine",    "format", "series",
      "language", "country", "audience", "theme",    "sport", "platform",   "season", "fabric",
      "fit",      "shape",   "flavour",  "level",    "type",  "department", "label",  "scent",
      "finish",   "origin",  "method",   "activity", "group", "keywords"};
  return names;
}

const std::vector<std::string>& AttributeShuffle::Words() {
  static const auto& words = *new std::vector<std::string>{
      // films, books and games
      "action", "adventure", "animation", "children", "comedy", "crime", "documentary", "drama",
      "fantasy", "film-noir", "horror", "musical", "mystery", "romance", "sci-fi", "thriller",
      "war", "western", "imax", "biography", "history", "family", "satire", "superhero", "spy",
      "heist", "courtroom", "dystopia", "space opera", "coming of age", "true story", "poetry",
      "essays", "cooking", "travel", "science", "philosophy", "puzzle", "strategy", "simulation",
      "racing", "platformer", "role-playing", "shooter", "multiplayer", "co-op", "open world",
      "indie", "arcade", "card game", "board game", "dice", "novel", "short stories", "comics",
      "manga", "graphic novel", "audiobook", "paperback", "hardcover", "trilogy", "classics",
      "young adult",
      // music
      "rock", "pop", "jazz", "blues", "soul", "funk", "disco", "techno", "house", "ambient", "folk",
      "country", "metal", "punk", "reggae", "hip hop", "classical", "opera", "choir", "piano",
      "guitar", "violin", "drums", "acoustic", "live", "instrumental", "vinyl",
      // food
      "italian", "thai", "mexican", "indian", "japanese", "french", "greek", "korean", "spicy",
      "sweet", "sour", "salty", "smoky", "vegetarian", "gluten-free", "organic", "raw", "grilled",
      "baked", "fried", "dessert", "breakfast", "snack", "soup", "salad", "noodles", "rice",
      "seafood", "cheese", "chocolate", "vanilla", "lemon", "ginger", "cinnamon", "mint", "almond",
      "hazelnut",
      // sport and outdoors
      "running", "cycling", "swimming", "climbing", "yoga", "football", "tennis", "golf", "skiing",
      "sailing", "fishing", "camping", "indoor", "outdoor", "beginner", "advanced", "expert",
      "training", "recovery", "trail", "road", "mountain", "beach", "forest",
      // clothes and beauty
      "slim fit", "loose", "cropped", "long", "short", "sleeveless", "high-waisted", "silk",
      "satin", "lace", "fleece", "cashmere", "nylon", "mesh", "corduroy", "matte", "glossy",
      "shimmer", "floral scent", "woody", "citrus", "musk", "rose", "lavender",
      // places, times and moods
      "european", "american", "asian", "african", "nordic", "british", "german", "spanish",
      "eighties", "nineties", "medieval", "victorian", "ancient", "summer", "winter", "spring",
      "autumn", "morning", "night", "dark", "light", "funny", "sad", "tense", "calm", "quirky",
      "epic", "heart-warming", "thoughtful", "nostalgic", "dreamy", "bold", "gentle", "slow",
      "fast-paced",
      // technology and tools
      "android", "desktop", "mobile", "cloud", "open source", "battery", "solar", "bluetooth",
      "usb", "ultra-wide", "mechanical", "silent", "portable", "mini", "large", "professional",
      "home", "garage", "workshop", "kids", "adults", "teens", "couples"};

  return words;
}

AttributeShuffle::AttributeShuffle(const demo::Shop& shop, uint64_t seed) : active_(true) {
  Rename(shop, seed);
}

void AttributeShuffle::Rename(const demo::Shop& shop, uint64_t seed) {
  demo::Random random = demo::Random::ForPart(seed, "disguise");
  std::vector<std::string> names = AttributeNames();
  random.Shuffle(names);

  std::vector<std::string> words = Words();
  random.Shuffle(words);

  std::map<std::string, std::set<std::string>> values;
  for (const demo::Product& product : shop.products) {
    for (const auto& [name, value] : product.item.attributes) {
      for (std::string& text : TextsOf(value)) values[name].insert(std::move(text));
    }
  }

  size_t next_name = 0, next_word = 0;
  const double kept_share = random.Uniform(0.45, 1);
  for (const auto& [name, texts] : values) {
    Renamed& renamed = attributes_[name];
    const bool never = name == "brand" || name == "price_level";
    if (never || !random.Chance(kept_share)) continue;

    // Several attributes may share a name; their values then form one list, like genres or tags.
    const bool joins = next_name > 0 && random.Chance(0.35);
    renamed.name = names[(joins ? next_name - 1 : next_name++) % names.size()];

    const bool own_words = random.Chance(0.2);
    for (const std::string& text : texts) {
      renamed.values[text] = own_words ? text : words[next_word++ % words.size()];
    }
  }

  if (random.Chance(0.6)) {
    const NumberKind& kind = kNumbers[random.Index(std::size(kNumbers))];
    number_ = {kind.name, kind.factor * random.Uniform(0.5, 1.5), kind.offset};
  }

  ratings_ = random.Chance(0.5);
}

ranking::ItemFacts AttributeShuffle::Facts(const demo::Product& product) const {
  ranking::ItemFacts facts{product.item.id, product.item.title, product.item.description,
                           product.item.attributes};
  if (!active_) return facts;

  facts.attributes.clear();
  std::map<std::string, std::vector<std::string>> lists;

  for (const auto& [name, value] : product.item.attributes) {
    const auto renamed = attributes_.find(name);
    if (renamed == attributes_.end() || renamed->second.name.empty()) continue;
    for (const std::string& text : TextsOf(value))
      lists[renamed->second.name].push_back(renamed->second.values.at(text));
  }

  for (auto& [name, texts] : lists) {
    if (texts.size() == 1) {
      facts.attributes[name] = std::move(texts.front());
    } else {
      facts.attributes[name] = std::move(texts);
    }
  }

  if (!number_.name.empty())
    facts.attributes[number_.name] = std::round(product.price * number_.factor + number_.offset);
  return facts;
}

ranking::HistoryEntry AttributeShuffle::Entry(const demo::Product& product, const Event& event,
                                              double weight) const {
  ranking::HistoryEntry entry{Facts(product), event.type, weight, event.time};
  if (!ratings_) return entry;
  entry.event_type = "rating";
  // Of the shop's event types, a click is at the user's mean (0 stars), a view at -0.5, a like or
  // cart at +1, a purchase at +1.5, and a dislike at -2.
  entry.weight = std::clamp(std::round(2 * (weight - 0.4)) / 2, -2.0, 2.0);
  return entry;
}

}  // namespace palate::training
