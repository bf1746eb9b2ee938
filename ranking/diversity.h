// Selects the served list from scored candidates: maximal marginal relevance over item vectors,
// caps per attribute value, and a share of exploration.
//
// Usage:
//   DiversityOptions options;
//   options.num_results = 3;
//   options.caps = {{.attribute = "category", .max_per_value = 2}};
//   for (const DiversityPick& pick : Diversify(candidates, options))
//     served.push_back(candidates[pick.index].item_id);
//
// Pure, thread-safe, deterministic for a seed. O(candidates * results * dimensions). Reference:
// Carbonell and Goldstein, "The use of MMR, diversity-based reranking", SIGIR 1998.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace palate::ranking {

struct DiversityCandidate {
  std::string item_id;
  double score = 0;  // higher is better; finite
  // Unit length, borrowed for the call; empty if the item has none, which counts as similarity 0.
  absl::Span<const float> vector;
  // capped_values[c] are the item's values of the attribute of DiversityOptions::caps[c]. May have
  // fewer elements than there are caps.
  std::vector<std::vector<std::string>> capped_values;
  // Candidates of a higher tier follow all those of lower tiers that the caps let in.
  int tier = 0;
};

struct AttributeCap {
  std::string attribute;
  int max_per_value = 0;  // limit on the results that share a value of the attribute
};

struct DiversityOptions {
  int num_results = 10;
  // 0 selects by score only, 1 by dissimilarity only.
  double strength = 0.3;
  std::vector<AttributeCap> caps = {};
  // Share of the results, rounded down, drawn from the candidates beyond the first num_results by
  // score, lower tiers first. Explored results of the first result's tier are spread evenly; those
  // of higher tiers come last. The first result is never an explored one, whatever the share.
  double exploration_share = 0;
  uint64_t seed = 0;
};

struct DiversityPick {
  size_t index = 0;       // into the candidates
  bool explored = false;  // drawn for exploration
  bool over_cap = false;  // exceeds a cap because no other candidate was left
};

// min(num_results, candidates) picks, best first, each candidate at most once. Each step takes the
// candidate with the largest
//
//   (1 - strength) * score - strength * (largest inner product with the picks so far),
//
// of the lowest tier, where scores are scaled to [0, 1] over the tier. Ties are broken by item id.
// Candidates over a cap are taken only when no other is left.
std::vector<DiversityPick> Diversify(const std::vector<DiversityCandidate>& candidates,
                                     const DiversityOptions& options);

}  // namespace palate::ranking
