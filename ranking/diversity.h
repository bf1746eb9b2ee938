// Picks the served list from a scored one: maximal marginal relevance over item vectors, caps per
// attribute value, a share of exploration.
//
// Pure, thread-safe, deterministic for a seed. O(candidates * results * dimensions).
// Reference: Carbonell and Goldstein, "The use of MMR, diversity-based reranking", SIGIR 1998.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace palate::ranking {

struct DiversityCandidate {
  std::string item_id;
  double score = 0;                // higher is better; finite
  absl::Span<const float> vector;  // unit length, borrowed for the call; empty when the item has
                                   // none: then it resembles nothing
  // The values that caps count, by cap: capped_values[c] are the item's values of
  // DiversityOptions::caps[c]. May be shorter.
  std::vector<std::vector<std::string>> capped_values;
};

struct AttributeCap {
  std::string attribute;
  int max_per_value = 0;  // at most so many results share a value of the attribute
};

struct DiversityOptions {
  int num_results = 10;
  // 0 serves by score alone; 1 looks at dissimilarity alone.
  double strength = 0.3;
  std::vector<AttributeCap> caps = {};
  // Share of the results, rounded down, that is drawn from beyond the first num_results by score.
  // Never the first place.
  double exploration_share = 0;
  uint64_t seed = 0;
};

struct DiversityPick {
  size_t index = 0;       // into the candidates
  bool explored = false;  // drawn for exploration
  bool over_cap = false;  // exceeds a cap: too few other candidates were left to fill the list
};

// Best first, min(num_results, candidates) picks, each candidate at most once. Each step takes the
// candidate with the largest
//   (1 - strength) * score - strength * (largest inner product with what is already picked),
// scores scaled to [0, 1] over the candidates. Ties are broken by item id. A candidate over a cap
// waits until nothing else is left.
std::vector<DiversityPick> Diversify(const std::vector<DiversityCandidate>& candidates,
                                     const DiversityOptions& options);

}  // namespace palate::ranking
