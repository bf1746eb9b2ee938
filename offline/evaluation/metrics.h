// Ranking metrics, and whether a difference between two rankings is more than chance.
//
// Pure functions over plain values: thread-safe. A ranking is a list of item ids, best first; an id
// that occurs again is worth nothing the second time. Metrics are in [0, 1]. `k` is at least 0.
// Reference for NDCG: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques",
// TOIS 2002; the exponential worth of a grade is that of Burges et al., "Learning to rank using
// gradient descent", ICML 2005.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace palate::evaluation {

// Item id to grade; items that are missing or graded 0 or less are not relevant.
using Relevance = absl::flat_hash_map<std::string, double>;

// What a grade g is worth: 2^g - 1, or g itself. With grades 0 and 1 both are the same.
enum class Worth { kExponential, kLinear };

// Discounted worth of the first k over that of the best possible order of all that is relevant; the
// item at rank r (from 1) is discounted by log2(r + 1). 0 when nothing is relevant: leave such
// users out of a mean.
double NdcgAt(int k, const std::vector<std::string>& ranking, const Relevance& relevance,
              Worth worth = Worth::kExponential);

// Share of the relevant items that are among the first k; 0 when nothing is relevant.
double RecallAt(int k, const std::vector<std::string>& ranking, const Relevance& relevance);

// One over the rank of the first relevant item; 0 when the first k have none.
double ReciprocalRankAt(int k, const std::vector<std::string>& ranking, const Relevance& relevance);

// Share of a catalog of `catalog_size` items that is among the first k of some ranking.
double CoverageAt(int k, const std::vector<std::vector<std::string>>& rankings,
                  int64_t catalog_size);

// The best order that anyone could give: by grade, ties by item id.
std::vector<std::string> OracleRanking(const Relevance& relevance);

double Mean(const std::vector<double>& values);  // 0 of nothing

// How much better the mean of a treatment is than that of a baseline: 0.05 is five percent of the
// baseline. The interval holds 95%.
struct Gain {
  double relative = 0;
  double low = 0;
  double high = 0;
};

// Paired percentile bootstrap of `resamples` draws: users are drawn with replacement, each with
// both of its values; `baseline[i]` and `treatment[i]` belong to the same user. The same seed gives
// the same interval on every platform. Draws whose baseline is 0 throughout are left out; all zeros
// when the sizes differ, nothing is given or the baseline's mean is not above 0: no gain can then
// be told.
Gain PairedBootstrap(const std::vector<double>& baseline, const std::vector<double>& treatment,
                     uint64_t seed, int resamples = 2000);

// Rows of cells as aligned text: the first column to the left, the others to the right, a line
// under the first row. Widths count characters, not bytes. Ends with a newline.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace palate::evaluation
