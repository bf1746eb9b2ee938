#include "offline/evaluation/metrics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "offline/demo/random.h"

namespace palate::evaluation {
namespace {

double WorthOf(double grade, Worth worth) {
  if (grade <= 0) return 0;
  return worth == Worth::kExponential ? std::exp2(grade) - 1 : grade;
}

// Calls visit(rank from 1, grade) for the first k places; the grade of a repeated or unknown id is
// 0.
template <typename Visit>
void ForTop(int k, const std::vector<std::string>& ranking, const Relevance& relevance,
            const Visit& visit) {
  absl::flat_hash_set<std::string> met;
  for (size_t i = 0; i < ranking.size() && i < static_cast<size_t>(std::max(0, k)); ++i) {
    const auto found = relevance.find(ranking[i]);
    visit(i + 1, met.insert(ranking[i]).second && found != relevance.end() ? found->second : 0.0);
  }
}

// The number of characters of valid UTF-8: bytes that are not continuation bytes.
size_t Width(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

}  // namespace

double NdcgAt(int k, const std::vector<std::string>& ranking, const Relevance& relevance,
              Worth worth) {
  double reached = 0;
  ForTop(k, ranking, relevance, [&](size_t rank, double grade) {
    reached += WorthOf(grade, worth) / std::log2(rank + 1.0);
  });

  std::vector<double> best;
  for (const auto& [id, grade] : relevance) best.push_back(WorthOf(grade, worth));
  std::sort(best.begin(), best.end(), std::greater<>());

  double possible = 0;
  for (size_t i = 0; i < best.size() && i < static_cast<size_t>(std::max(0, k)); ++i)
    possible += best[i] / std::log2(i + 2.0);
  return possible > 0 ? reached / possible : 0;
}

double RecallAt(int k, const std::vector<std::string>& ranking, const Relevance& relevance) {
  const auto relevant = std::count_if(relevance.begin(), relevance.end(),
                                      [](const auto& entry) { return entry.second > 0; });
  double found = 0;
  ForTop(k, ranking, relevance, [&](size_t, double grade) { found += grade > 0 ? 1 : 0; });
  return relevant > 0 ? found / static_cast<double>(relevant) : 0;
}

double ReciprocalRankAt(int k, const std::vector<std::string>& ranking,
                        const Relevance& relevance) {
  double reciprocal = 0;
  ForTop(k, ranking, relevance, [&](size_t rank, double grade) {
    if (grade > 0 && reciprocal == 0) reciprocal = 1.0 / static_cast<double>(rank);
  });
  return reciprocal;
}

double CoverageAt(int k, const std::vector<std::vector<std::string>>& rankings,
                  int64_t catalog_size) {
  if (catalog_size <= 0) return 0;

  absl::flat_hash_set<std::string> shown;
  for (const std::vector<std::string>& ranking : rankings) {
    for (size_t i = 0; i < ranking.size() && i < static_cast<size_t>(std::max(0, k)); ++i)
      shown.insert(ranking[i]);
  }

  return static_cast<double>(shown.size()) / static_cast<double>(catalog_size);
}

std::vector<std::string> OracleRanking(const Relevance& relevance) {
  std::vector<std::pair<double, std::string>> sorted;
  for (const auto& [id, grade] : relevance) {
    if (grade > 0) sorted.emplace_back(-grade, id);
  }
  std::sort(sorted.begin(), sorted.end());

  std::vector<std::string> ranking;
  for (auto& [negated, id] : sorted) ranking.push_back(std::move(id));
  return ranking;
}

double Mean(const std::vector<double>& values) {
  return values.empty() ? 0
                        : std::accumulate(values.begin(), values.end(), 0.0) /
                              static_cast<double>(values.size());
}

Gain PairedBootstrap(const std::vector<double>& baseline, const std::vector<double>& treatment,
                     uint64_t seed, int resamples) {
  const double base = Mean(baseline);
  if (baseline.size() != treatment.size() || !(base > 0)) return {};

  demo::Random random(seed);
  std::vector<double> gains;
  for (int i = 0; i < resamples; ++i) {
    double base_sum = 0, treated_sum = 0;
    for (size_t n = 0; n < baseline.size(); ++n) {
      const size_t user = random.Index(baseline.size());
      base_sum += baseline[user];
      treated_sum += treatment[user];
    }
    if (base_sum > 0) gains.push_back(treated_sum / base_sum - 1);
  }

  if (gains.empty()) return {};
  std::sort(gains.begin(), gains.end());

  const auto percentile = [&](double share) {
    return gains[static_cast<size_t>(std::lround(share * static_cast<double>(gains.size() - 1)))];
  };

  return {
      .relative = Mean(treatment) / base - 1, .low = percentile(0.025), .high = percentile(0.975)};
}

std::string FormatTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const std::vector<std::string>& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t column = 0; column < row.size(); ++column)
      widths[column] = std::max(widths[column], Width(row[column]));
  }

  std::string text;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::string line;
    for (size_t column = 0; column < rows[i].size(); ++column) {
      const std::string padding(widths[column] - Width(rows[i][column]), ' ');
      if (column == 0) {
        absl::StrAppend(&line, rows[i][column], padding);
      } else {
        absl::StrAppend(&line, "  ", padding, rows[i][column]);
      }
    }

    absl::StrAppend(&text, line, "\n");
    if (i == 0) absl::StrAppend(&text, std::string(Width(line), '-'), "\n");
  }
  return text;
}

}  // namespace palate::evaluation
