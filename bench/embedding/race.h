// Compares implementations of one task on a shared machine: every implementation runs every batch
// in turn, several times, and the fastest run of each counts.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace palate::bench {

struct Contestant {
  std::string name;
  // Runs one batch and returns the seconds that it took.
  std::function<absl::StatusOr<double>(size_t batch)> run;
};

struct RaceOptions {
  size_t batches = 0;
  int repeats = 5;
};

// The best time of each contestant for each batch, in seconds. Each runs the first batch once to
// warm up.
absl::StatusOr<std::vector<std::vector<double>>> BestTimes(
    const std::vector<Contestant>& contestants, const RaceOptions& options);

// The sums of the best times over the batches.
absl::StatusOr<std::vector<double>> Race(const std::vector<Contestant>& contestants,
                                         const RaceOptions& options);

// Prints tokens per second of each contestant, and the ratios to the first one.
void PrintRace(const std::vector<Contestant>& contestants, const std::vector<double>& seconds,
               double tokens);

// Wall-clock seconds of `body`.
double Seconds(const std::function<void()>& body);

}  // namespace palate::bench
