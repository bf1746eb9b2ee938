#include "bench/embedding/race.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <numeric>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"

namespace palate::bench {

absl::StatusOr<std::vector<std::vector<double>>> BestTimes(
    const std::vector<Contestant>& contestants, const RaceOptions& options) {
  for (const Contestant& contestant : contestants) {
    PALATE_RETURN_IF_ERROR(Annotate(contestant.run(0).status(), contestant.name));
  }

  std::vector<std::vector<double>> best(
      contestants.size(),
      std::vector<double>(options.batches, std::numeric_limits<double>::infinity()));

  for (size_t batch = 0; batch < options.batches; ++batch) {
    for (int repeat = 0; repeat < options.repeats; ++repeat) {
      for (size_t i = 0; i < contestants.size(); ++i) {
        PALATE_ASSIGN_OR_RETURN(const double seconds, contestants[i].run(batch));
        best[i][batch] = std::min(best[i][batch], seconds);
      }
    }
  }
  return best;
}

absl::StatusOr<std::vector<double>> Race(const std::vector<Contestant>& contestants,
                                         const RaceOptions& options) {
  PALATE_ASSIGN_OR_RETURN(const auto best, BestTimes(contestants, options));
  std::vector<double> totals;
  for (const std::vector<double>& times : best)
    totals.push_back(std::accumulate(times.begin(), times.end(), 0.0));
  return totals;
}

void PrintRace(const std::vector<Contestant>& contestants, const std::vector<double>& seconds,
               double tokens) {
  std::printf("%-28s %12s %16s\n", "", "tokens/s", "palate is");
  for (size_t i = 0; i < contestants.size(); ++i) {
    std::printf("%-28s %12.0f", contestants[i].name.c_str(), tokens / seconds[i]);
    if (i > 0) std::printf(" %12.2f times as fast", seconds[i] / seconds[0]);
    std::printf("\n");
  }
  std::fflush(stdout);
}

double Seconds(const std::function<void()>& body) {
  const absl::Time start = absl::Now();
  body();
  return absl::ToDoubleSeconds(absl::Now() - start);
}

}  // namespace palate::bench
