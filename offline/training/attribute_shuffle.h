// Makes a generated shop look like another catalog, so that the language model does not depend on
// one shop's attribute names and words.
//
// An attribute shuffle renames attributes ("style" becomes "genres") and their values, drops some
// attributes, gives the price another name and scale, and may turn events into ratings. It does not
// change which products a shopper wants. Immutable after construction; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "offline/demo/shop.h"
#include "ranking/ranking_types.h"

namespace palate::training {

class AttributeShuffle {
 public:
  // Changes nothing.
  AttributeShuffle() = default;
  // A random shuffle for the products of `shop`; the same seed gives the same one.
  AttributeShuffle(const demo::Shop& shop, uint64_t seed);

  ranking::ItemFacts Facts(const demo::Product& product) const;
  // `weight` is the event type's declared weight. If this shuffle turns events into ratings, it
  // becomes the number of stars above or below the user's mean, in steps of half a star.
  ranking::HistoryEntry Entry(const demo::Product& product, const Event& event,
                              double weight) const;

  // Every word that a shuffle can use, for the tokenizer's corpus.
  static const std::vector<std::string>& Words();
  static const std::vector<std::string>& AttributeNames();

 private:
  struct Renamed {
    std::string name;  // empty: dropped
    std::map<std::string, std::string> values;
  };
  struct Number {
    std::string name;  // empty: dropped
    double factor = 1;
    double offset = 0;
  };

  void Rename(const demo::Shop& shop, uint64_t seed);

  bool active_ = false;
  bool ratings_ = false;
  std::map<std::string, Renamed> attributes_;
  Number number_;
};

}  // namespace palate::training
