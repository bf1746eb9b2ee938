// Gives a generated shop the look of another catalog, so that the language model does not depend on
// one shop's attribute names and words.
//
// An attribute shuffle renames attributes ("style" becomes "genres") and their values, leaves some
// attributes out, says numbers under another name and scale, and may turn events into ratings. What
// the shopper wants stays what it is. Immutable after construction; thread-safe.
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
  // The shop as it is.
  AttributeShuffle() = default;
  // A random look for the products of `shop`; the same seed gives the same one.
  AttributeShuffle(const demo::Shop& shop, uint64_t seed);

  ranking::ItemFacts Facts(const demo::Product& product) const;
  // `weight` is the event type's declared weight. As a rating it becomes a number of half stars
  // above or below the user's usual.
  ranking::HistoryEntry Entry(const demo::Product& product, const Event& event,
                              double weight) const;

  // Every word that some shuffle uses, for the tokenizer's corpus.
  static const std::vector<std::string>& Words();
  static const std::vector<std::string>& AttributeNames();

 private:
  struct Renamed {
    std::string name;  // empty: left out
    std::map<std::string, std::string> values;
  };
  struct Number {
    std::string name;  // empty: left out
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
