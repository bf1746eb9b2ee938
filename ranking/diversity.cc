#include "ranking/diversity.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

namespace palate::ranking {
namespace {

uint64_t SeededHash(const std::string& text, uint64_t seed) {
  uint64_t hash = 14695981039346656037ull ^ seed;  // FNV-1a, then SplitMix64's finalizer
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9ull;
  hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBull;
  return hash ^ (hash >> 31);
}

// Not Dot of domain/vector.h, which requires equal lengths and multiplies in double: here a missing
// vector, or one of another length, has similarity 0, and products are rounded to float, which the
// order of near ties depends on.
double InnerProduct(absl::Span<const float> a, absl::Span<const float> b) {
  if (a.empty() || a.size() != b.size()) return 0.0;
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// The state of one call of Diversify.
class Picker {
 public:
  Picker(const std::vector<DiversityCandidate>& candidates, const DiversityOptions& options)
      : candidates_(candidates),
        options_(options),
        relevance_(candidates.size(), 1.0),
        similarity_(candidates.size(), 0.0),
        taken_(candidates.size(), false),
        counts_(options.caps.size()) {
    ScaleScores();
  }

  std::vector<DiversityPick> Run() {
    const size_t wanted =
        std::min(candidates_.size(), static_cast<size_t>(std::max(options_.num_results, 0)));
    const std::vector<size_t> explored = ChooseExplored(wanted);
    const std::vector<size_t> places = PlacesOf(explored, wanted);

    std::vector<DiversityPick> picks;
    size_t next = 0;
    while (picks.size() < wanted) {
      if (next < explored.size() && picks.size() == places[next]) {
        Take(explored[next++], /*explored=*/true, picks);
        continue;
      }
      size_t best = Best(/*respect_caps=*/true);
      if (best == candidates_.size()) best = Best(/*respect_caps=*/false);
      Take(best, /*explored=*/false, picks);
    }
    return picks;
  }

 private:
  // Within each tier.
  void ScaleScores() {
    std::map<int, std::pair<double, double>> ranges;  // least and largest score by tier
    for (const DiversityCandidate& candidate : candidates_) {
      auto& [low, high] =
          ranges.try_emplace(candidate.tier, candidate.score, candidate.score).first->second;
      low = std::min(low, candidate.score);
      high = std::max(high, candidate.score);
    }

    for (size_t i = 0; i < candidates_.size(); ++i) {
      const auto& [low, high] = ranges.at(candidates_[i].tier);
      if (high > low) relevance_[i] = (candidates_[i].score - low) / (high - low);
    }
  }

  // Draws the explored items by seeded hash from those beyond the first `wanted` by score, and
  // reserves them for their places.
  std::vector<size_t> ChooseExplored(size_t wanted) {
    const double share = std::clamp(options_.exploration_share, 0.0, 1.0);
    std::vector<size_t> order(candidates_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [this](size_t a, size_t b) {
      if (candidates_[a].tier != candidates_[b].tier)
        return candidates_[a].tier < candidates_[b].tier;
      return Before(candidates_[a].score, a, candidates_[b].score, b);
    });

    std::vector<std::tuple<int, uint64_t, size_t>> beyond;
    for (size_t i = wanted; i < order.size(); ++i) {
      const DiversityCandidate& candidate = candidates_[order[i]];
      beyond.emplace_back(candidate.tier, SeededHash(candidate.item_id, options_.seed), order[i]);
    }
    std::sort(beyond.begin(), beyond.end());

    size_t count = static_cast<size_t>(share * static_cast<double>(wanted));
    count = std::min({count, beyond.size(), wanted > 0 ? wanted - 1 : 0});

    std::vector<size_t> explored;
    for (const auto& [tier, hash, index] : beyond) {
      if (explored.size() == count) break;
      if (OverCap(index)) continue;
      reserved_.push_back(index);
      explored.push_back(index);
    }
    return explored;
  }

  // The places of the explored candidates, ascending: those of the first place's tier are spread
  // evenly over the places after the first, and those of higher tiers, which may not go before
  // anything of the first's, are the last.
  std::vector<size_t> PlacesOf(const std::vector<size_t>& explored, size_t wanted) const {
    int first_tier = std::numeric_limits<int>::max();
    for (const DiversityCandidate& candidate : candidates_)
      first_tier = std::min(first_tier, candidate.tier);
    const auto spread =
        static_cast<size_t>(std::count_if(explored.begin(), explored.end(), [&](size_t index) {
          return candidates_[index].tier == first_tier;
        }));

    const size_t end = wanted - (explored.size() - spread);
    std::vector<size_t> places;
    for (size_t i = 0; i < spread; ++i) places.push_back((i + 1) * (end - 1) / spread);
    for (size_t i = end; i < wanted; ++i) places.push_back(i);
    return places;
  }

  bool Before(double score_a, size_t a, double score_b, size_t b) const {
    if (score_a != score_b) return score_a > score_b;
    return candidates_[a].item_id < candidates_[b].item_id;
  }

  size_t Best(bool respect_caps) const {
    size_t best = candidates_.size();
    double best_value = -std::numeric_limits<double>::infinity();
    const double strength = std::clamp(options_.strength, 0.0, 1.0);

    for (size_t i = 0; i < candidates_.size(); ++i) {
      if (taken_[i] || (respect_caps && OverCap(i)) ||
          std::find(reserved_.begin(), reserved_.end(), i) != reserved_.end())
        continue;
      const double value = (1 - strength) * relevance_[i] - strength * similarity_[i];
      const bool lower = best != candidates_.size() && candidates_[i].tier < candidates_[best].tier;
      const bool higher =
          best != candidates_.size() && candidates_[i].tier > candidates_[best].tier;
      if (higher) continue;
      if (best == candidates_.size() || lower || Before(value, i, best_value, best)) {
        best = i;
        best_value = value;
      }
    }
    return best;
  }

  bool OverCap(size_t index) const {
    const auto& values = candidates_[index].capped_values;
    for (size_t c = 0; c < std::min(values.size(), counts_.size()); ++c) {
      for (const std::string& value : values[c]) {
        const auto found = counts_[c].find(value);
        if ((found == counts_[c].end() ? 0 : found->second) >= options_.caps[c].max_per_value)
          return true;
      }
    }
    return false;
  }

  void Take(size_t index, bool explored, std::vector<DiversityPick>& picks) {
    const DiversityCandidate& taken = candidates_[index];
    const DiversityPick added = {index, explored, OverCap(index)};

    taken_[index] = true;
    for (size_t c = 0; c < std::min(taken.capped_values.size(), counts_.size()); ++c) {
      for (const std::string& value : taken.capped_values[c]) ++counts_[c][value];
    }

    for (size_t i = 0; i < candidates_.size() && options_.strength > 0; ++i) {
      if (taken_[i]) continue;
      const double similarity = InnerProduct(candidates_[i].vector, taken.vector);
      similarity_[i] = picks.empty() ? similarity : std::max(similarity_[i], similarity);
    }
    picks.push_back(added);
  }

  const std::vector<DiversityCandidate>& candidates_;
  const DiversityOptions& options_;
  std::vector<double> relevance_;   // scaled to [0, 1]
  std::vector<double> similarity_;  // largest inner product with a taken item; 0 before the first
  std::vector<bool> taken_;
  std::vector<size_t> reserved_;
  std::vector<std::map<std::string, int>> counts_;
};

}  // namespace

std::vector<DiversityPick> Diversify(const std::vector<DiversityCandidate>& candidates,
                                     const DiversityOptions& options) {
  return Picker(candidates, options).Run();
}

}  // namespace palate::ranking
