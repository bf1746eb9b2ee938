#include "offline/demo/shoppers.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace palate::demo {
namespace {

// Builds tastes from values of products that the shop sells, mostly of liked categories, so that a
// taste can be satisfied.
class TasteMaker {
 public:
  TasteMaker(const std::vector<Product>& products, Random& random)
      : products_(products), random_(random) {}

  Taste Make() {
    Taste taste;
    for (int i = 0; i < 3; ++i) Add(taste, "category", random_.Uniform(0.5, 0.9));
    Add(taste, "category", -random_.Uniform(0.5, 0.9));
    AddLikesAndDislikes(taste);
    ChooseBand(taste);
    ChooseInteractions(taste);
    return taste;
  }

  // The taste some weeks later: new values replace one liked category, material, style and feature,
  // and a dislike is added.
  Taste Drift(Taste taste) {
    for (const char* attribute : {"category", "material", "style", "feature"}) {
      if (const auto old = AnyWord(taste, attribute, /*liked=*/true)) {
        const double weight = taste.weights[*old];
        taste.weights.erase(*old);
        Add(taste, attribute, weight, old->value);
      }
    }

    Add(taste, random_.Chance(0.5) ? "material" : "style", -random_.Uniform(0.8, 1.2));
    ChooseInteractions(taste);
    return taste;
  }

 private:
  void AddLikesAndDislikes(Taste& taste) {
    for (int i = 0; i < 2; ++i) Add(taste, "material", random_.Uniform(0.7, 1.1));
    for (int i = 0; i < 2; ++i) Add(taste, "style", random_.Uniform(0.7, 1.1));
    for (int i = 0; i < 2; ++i) Add(taste, "color", random_.Uniform(0.5, 0.9));
    for (int i = 0; i < 2; ++i) Add(taste, "feature", random_.Uniform(0.4, 0.8));
    if (random_.Chance(0.5)) Add(taste, "pattern", random_.Uniform(0.4, 0.7));
    if (random_.Chance(0.5)) Add(taste, "occasion", random_.Uniform(0.3, 0.5));
    for (int i = random_.Chance(0.5) ? 2 : 1; i > 0; --i)
      Add(taste, "material", -random_.Uniform(0.8, 1.2));
    for (int i = random_.Chance(0.5) ? 2 : 1; i > 0; --i)
      Add(taste, "style", -random_.Uniform(0.8, 1.2));
    Add(taste, "color", -random_.Uniform(0.6, 1.0));
    if (random_.Chance(0.4)) Add(taste, "pattern", -random_.Uniform(0.5, 0.8));
    if (random_.Chance(0.3)) Add(taste, "feature", -random_.Uniform(0.5, 0.8));
  }

  bool InLikedCategory(const Taste& taste, const Product& product) const {
    const auto found = taste.weights.find(product.words.front());
    return found != taste.weights.end() && found->second > 0;
  }

  // The most popular of three random products, so that tastes follow the fashion. With
  // `only_liked_categories`, products of liked categories; a random product if 60 tries find none.
  const Product& Dream(const Taste& taste, bool only_liked_categories) {
    const Product* best = &random_.Pick(products_);

    int found = 0;
    for (int tries = 0; tries < 60 && found < 3; ++tries) {
      const Product& product = random_.Pick(products_);
      if (only_liked_categories && !InLikedCategory(taste, product)) continue;
      if (found++ == 0 || product.popularity > best->popularity) best = &product;
    }
    return *best;
  }

  // Gives `weight` to a value of the attribute that has none yet and is not `except`. Does nothing
  // if 500 tries find no such value.
  void Add(Taste& taste, const std::string& attribute, double weight,
           const std::string& except = "") {
    for (int tries = 0; tries < 500; ++tries) {
      const AttributeWord& word = random_.Pick(Dream(taste, attribute != "category").words);
      if (word.attribute != attribute || word.value == except || taste.weights.contains(word))
        continue;
      taste.weights[word] = weight;
      return;
    }
  }

  void ChooseBand(Taste& taste) {
    const double center = Dream(taste, true).price;
    const auto to_five = [](double price) { return std::max(5.0, std::round(price / 5) * 5); };
    taste.low_price = to_five(center / random_.Uniform(1.4, 2.2));
    taste.high_price = std::max(taste.low_price + 15, to_five(center * random_.Uniform(1.4, 2.2)));
  }

  std::optional<AttributeWord> AnyWord(const Taste& taste, const std::string& attribute,
                                       bool liked) {
    std::vector<AttributeWord> words;
    for (const auto& [word, weight] : taste.weights) {
      if (word.attribute == attribute && (weight > 0) == liked) words.push_back(word);
    }

    if (words.empty()) return std::nullopt;
    return random_.Pick(words);
  }

  void ChooseInteractions(Taste& taste) {
    taste.pair_first = AnyWord(taste, "style", true).value_or(AttributeWord{});
    taste.pair_second =
        AnyWord(taste, random_.Chance(0.5) ? "material" : "color", true).value_or(AttributeWord{});
    taste.excused = AnyWord(taste, "material", false).value_or(AttributeWord{});
    taste.excuse =
        AnyWord(taste, random_.Chance(0.5) ? "style" : "color", true).value_or(AttributeWord{});
  }

  const std::vector<Product>& products_;
  Random& random_;
};

// Simulates one shopper's sessions. Which products the shopper sees depends on popularity, on the
// browsed category and on searches; what the shopper does with them depends on taste.
class Visitor {
 public:
  Visitor(const ShopOptions& options, const std::vector<Product>& products, const Shopper& shopper,
          size_t index)
      : options_(options),
        products_(products),
        shopper_(shopper),
        random_(Random::ForPart(options.seed, "events", index)) {
    double popularity = 0;
    for (const Product& product : products)
      cumulative_popularity_.push_back(popularity += product.popularity);
  }

  std::vector<Event> Run() {
    const absl::Duration span = options_.train_span + options_.test_span;
    const double expected = shopper_.sessions_per_week * absl::ToDoubleHours(span) / (7 * 24);
    const int sessions = std::max(1, static_cast<int>(std::floor(expected + random_.Uniform())));

    std::vector<double> starts(sessions);
    for (double& start : starts) start = random_.Uniform() * absl::ToDoubleSeconds(span);
    std::sort(starts.begin(), starts.end());

    for (int i = 0; i < sessions; ++i)
      Session(i, options_.start_time + absl::Seconds(std::floor(starts[i])));

    std::stable_sort(events_.begin(), events_.end(),
                     [](const Event& a, const Event& b) { return a.time < b.time; });
    return std::move(events_);
  }

 private:
  void Session(int number, absl::Time time) {
    session_id_ = absl::StrFormat("%s-s%03d", shopper_.id, number + 1);
    const Taste& taste = TasteAt(shopper_, time);

    // A liked category, if the taste has one.
    const std::string browsed = BrowsedCategory(taste);
    const int looks = std::max(2, static_cast<int>(std::lround(options_.products_per_session *
                                                               random_.Uniform(0.5, 1.5))));

    absl::flat_hash_set<size_t> looked_at;
    for (int i = 0; i < looks; ++i) {
      const size_t index = ComeAcross(taste, browsed);
      const Product& product = products_[index];
      if (product.item.create_time > time || done_with_.contains(index) ||
          !looked_at.insert(index).second)
        continue;
      time += absl::Seconds(std::floor(random_.Uniform(15, 150)));
      Decide(index, Utility(taste, product), time);
    }
  }

  std::string BrowsedCategory(const Taste& taste) {
    std::vector<std::string> names;
    std::vector<double> weights;
    for (const auto& [word, weight] : taste.weights) {
      if (word.attribute != "category" || weight <= 0) continue;
      names.push_back(word.value);
      weights.push_back(weight);
    }

    return names.empty() ? random_.Pick(products_).category : names[random_.Weighted(weights)];
  }

  size_t PopularProduct() {
    const double point = random_.Uniform() * cumulative_popularity_.back();
    const auto found =
        std::upper_bound(cumulative_popularity_.begin(), cumulative_popularity_.end(), point);
    return std::min<size_t>(found - cumulative_popularity_.begin(), products_.size() - 1);
  }

  // Of the products seen, 45% are popular ones, 30% of the browsed category, and 25% found by
  // search: the best of six random products.
  size_t ComeAcross(const Taste& taste, const std::string& browsed) {
    const double way = random_.Uniform();
    if (way < 0.45) return PopularProduct();
    size_t best = random_.Index(products_.size());

    if (way < 0.75) {
      for (int tries = 0; tries < 30 && products_[best].category != browsed; ++tries)
        best = PopularProduct();
      return best;
    }

    double best_utility = Utility(taste, products_[best]);
    for (int i = 0; i < 5; ++i) {
      const size_t other = random_.Index(products_.size());
      const double utility = Utility(taste, products_[other]);
      if (utility <= best_utility) continue;
      best = other;
      best_utility = utility;
    }
    return best;
  }

  double Noisy(double utility) { return utility + options_.decision_noise * random_.Normal(); }

  void Decide(size_t index, double utility, absl::Time& time) {
    if (Noisy(utility) < 0.6) {
      if (Noisy(utility) < -0.9 && random_.Chance(0.6)) {
        Add(kDislike, index, time);
        done_with_.insert(index);
      } else if (random_.Chance(0.35)) {
        Add(kView, index, time);
      }
      return;
    }

    Add(kClick, index, time);
    time += absl::Seconds(std::floor(random_.Uniform(20, 240)));

    if (Noisy(utility) > 1.5 && random_.Chance(0.6)) Add(kLike, index, time);
    if (Noisy(utility) > 1.9 && random_.Chance(0.6)) {
      Add(kCart, index, time += absl::Seconds(20));
      if (Noisy(utility) > 2.1) {
        Add(kPurchase, index, time += absl::Seconds(90));
        done_with_.insert(index);
      }
    }
  }

  void Add(const char* type, size_t index, absl::Time time) {
    Event event;
    event.event_id = absl::StrFormat("%s-e%04d", shopper_.id, events_.size() + 1);
    event.user_id = shopper_.id;
    event.item_id = products_[index].item.id;
    event.type = type;
    event.time = time;
    event.session_id = session_id_;
    events_.push_back(std::move(event));
  }

  const ShopOptions& options_;
  const std::vector<Product>& products_;
  const Shopper& shopper_;
  Random random_;
  std::vector<double> cumulative_popularity_;
  absl::flat_hash_set<size_t> done_with_;  // bought, or not wanted again
  std::string session_id_;
  std::vector<Event> events_;
};

}  // namespace

std::vector<Shopper> GenerateShoppers(const ShopOptions& options,
                                      const std::vector<Product>& products) {
  std::vector<Shopper> shoppers;
  for (int i = 0; i < options.num_shoppers; ++i) {
    Random random = Random::ForPart(options.seed, "shoppers", i);
    TasteMaker maker(products, random);

    Shopper shopper;
    shopper.id = absl::StrFormat("shopper-%03d", i + 1);
    shopper.sessions_per_week =
        options.sessions_per_week * std::exp(std::clamp(0.5 * random.Normal(), -1.1, 1.1));
    shopper.phases.push_back({options.start_time, maker.Make()});

    if (random.Chance(options.drifting_share)) {
      const absl::Duration when = options.train_span * random.Uniform(0.35, 0.75);
      shopper.phases.push_back({options.start_time + absl::Trunc(when, absl::Seconds(1)),
                                maker.Drift(shopper.phases.front().taste)});
    }
    shoppers.push_back(std::move(shopper));
  }
  return shoppers;
}

std::vector<Event> SimulateEvents(const ShopOptions& options, const std::vector<Product>& products,
                                  const Shopper& shopper, size_t index) {
  return Visitor(options, products, shopper, index).Run();
}

}  // namespace palate::demo
