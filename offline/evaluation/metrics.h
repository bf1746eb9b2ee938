// Ranking metrics, and a test whether one ranking is significantly better than another.
//
// Pure functions over plain values: thread-safe. A ranking is a list of item ids, best first; only
// the first occurrence of an id counts. Metrics are in [0, 1]. `k` is at least 0. Reference for
// NDCG: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002; the
// exponential gain of a grade is from Burges et al., "Learning to rank using gradient descent",
// ICML 2005.
//
// Usage:
//   const Relevance relevance = {{"lamp", 3}, {"chair", 1}};
//   const std::vector<std::string> ranking = {"lamp", "table", "chair"};
//   const double ndcg = NdcgAt(10, ranking, relevance);
//   const double recall = RecallAt(2, ranking, relevance);
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace palate::evaluation {

// Item id to grade; items that are missing or graded 0 or less are not relevant.
using Relevance = absl::flat_hash_map<std::string, double>;

// The gain of a grade g: 2^g - 1, or g itself. For grades 0 and 1 both are equal.
enum class Worth { kExponential, kLinear };

// Normalized discounted cumulative gain: the discounted gain of the first k items, divided by that
// of the best possible order of all relevant items. The gain at rank r (from 1) is divided by
// log2(r + 1). 0 when nothing is relevant: leave such users out of a mean.
double NdcgAt(int k, const std::vector<std::string>& ranking, const Relevance& relevance,
              Worth worth = Worth::kExponential);

// Share of the relevant items that are in the first k; 0 when nothing is relevant.
double RecallAt(int k, const std::vector<std::string>& ranking, const Relevance& relevance);

// One over the rank of the first relevant item; 0 when the first k have none.
double ReciprocalRankAt(int k, const std::vector<std::string>& ranking, const Relevance& relevance);

// Share of a catalog of `catalog_size` items that is in the first k of at least one ranking.
double CoverageAt(int k, const std::vector<std::vector<std::string>>& rankings,
                  int64_t catalog_size);

// The best possible order: by grade, ties by item id.
std::vector<std::string> OracleRanking(const Relevance& relevance);

double Mean(const std::vector<double>& values);  // 0 for no values

// The relative gain of the mean of a treatment over that of a baseline (0.05 is 5% of the
// baseline), with its 95% confidence interval.
struct Gain {
  double relative = 0;
  double low = 0;
  double high = 0;
};

// Paired percentile bootstrap of `resamples` draws: users are drawn with replacement, each with
// both of its values; `baseline[i]` and `treatment[i]` belong to the same user. The same seed gives
// the same interval on every platform. Draws whose baseline sums to 0 are left out. All zeros when
// the sizes differ, the lists are empty or the baseline's mean is not positive, because then there
// is no gain to measure.
Gain PairedBootstrap(const std::vector<double>& baseline, const std::vector<double>& treatment,
                     uint64_t seed, int resamples = 2000);

// Formats rows of cells as aligned text: the first column to the left, the others to the right, a
// line under the first row. Widths count characters, not bytes. Ends with a newline.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace palate::evaluation
