// Small catalogs and histories for the ranking tests.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "ranking/ranking_types.h"

namespace palate::ranking {

inline absl::Time TestTime(double days_before_newest = 0) {
  return absl::FromUnixSeconds(1000000000) - absl::Hours(24) * days_before_newest;
}

inline ItemFacts MakeItem(std::string id, std::string title, Attributes attributes = {}) {
  ItemFacts item;
  item.item_id = std::move(id);
  item.title = std::move(title);
  item.attributes = std::move(attributes);
  return item;
}

inline HistoryEntry MakeEntry(ItemFacts item, std::string type, double weight,
                              double days_before_newest = 0) {
  return {std::move(item), std::move(type), weight, TestTime(days_before_newest)};
}

// A user who likes walnut and minimalist style and turned brass down. Newest first.
inline std::vector<HistoryEntry> WalnutHistory() {
  using List = std::vector<std::string>;

  return {
      MakeEntry(MakeItem("lamp", "Vega Lamp",
                         {{"material", "walnut"},
                          {"style", "minimalist"},
                          {"price", 60.0},
                          {"features", List{"dimmable"}}}),
                "purchase", 2.0, 0),
      MakeEntry(MakeItem("stool", "Nor Stool",
                         {{"material", "walnut"},
                          {"style", "rustic"},
                          {"price", 80.0},
                          {"features", List{"foldable"}}}),
                "like", 1.5, 1),
      MakeEntry(MakeItem("clock", "Helio Clock",
                         {{"material", "brass"},
                          {"style", "retro"},
                          {"price", 120.0},
                          {"features", List{"silent"}}}),
                "dislike", -2.0, 2),
      MakeEntry(MakeItem("mug", "Fjord Mug",
                         {{"material", "walnut"},
                          {"style", "minimalist"},
                          {"price", 40.0},
                          {"features", List{"stackable"}}}),
                "click", 0.5, 3),
      MakeEntry(MakeItem("rug", "Sol Rug",
                         {{"material", "wool"},
                          {"style", "bohemian"},
                          {"price", 300.0},
                          {"features", List{"washable"}}}),
                "view", 0.1, 4),
  };
}

inline ItemFacts WalnutChair() {
  return MakeItem("chair", "Alto Chair",
                  {{"material", "walnut"},
                   {"style", "minimalist"},
                   {"price", 70.0},
                   {"features", std::vector<std::string>{"padded"}}});
}

// A user of a random catalog with attributes of every type.
struct RandomShopper {
  std::vector<HistoryEntry> history;
  std::vector<ItemFacts> candidates;
};

inline RandomShopper MakeRandomShopper(uint64_t seed, int num_history, int num_candidates) {
  std::mt19937_64 random(seed);
  const auto pick = [&random](const std::vector<std::string>& from) {
    return from[random() % from.size()];
  };

  const auto item = [&](const std::string& id) {
    Attributes attributes;
    attributes["material"] = pick({"walnut", "oak", "brass", "steel", "linen"});
    attributes["style"] = pick({"minimalist", "rustic", "industrial", "elegant"});
    attributes["color"] = pick({"black", "orange", "navy"});
    attributes["features"] =
        std::vector<std::string>{pick({"dimmable", "foldable"}), pick({"insulated", "washable"})};
    attributes["brand"] = pick({"Nordhem", "Aurelio", "St. Ives"});
    attributes["country"] = pick({"France", "Italy"});
    attributes["handmade"] = random() % 2 == 0;
    attributes["price"] = static_cast<double>(random() % 20000) / 100.0;
    attributes["year"] = static_cast<int64_t>(1990 + random() % 30);
    if (random() % 4 == 0) attributes.erase("material");
    return MakeItem(id, pick({"Vega", "Alto", "Helio", "It", "You"}) + " " + id,
                    std::move(attributes));
  };

  const std::pair<std::string, double> interactions[] = {
      {"purchase", 2.0}, {"like", 1.5},     {"add_to_cart", 1.2}, {"click", 0.5},
      {"view", 0.1},     {"dislike", -2.0}, {"rating", 1.0}};

  RandomShopper shopper;
  for (int i = 0; i < num_history; ++i) {
    const auto& [type, weight] = interactions[random() % std::size(interactions)];
    shopper.history.push_back(MakeEntry(item("h" + std::to_string(i)), type, weight, i));
  }
  for (int i = 0; i < num_candidates; ++i)
    shopper.candidates.push_back(item("c" + std::to_string(i)));
  return shopper;
}

}  // namespace palate::ranking
