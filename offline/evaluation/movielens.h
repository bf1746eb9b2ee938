// Imports a MovieLens folder through the public API and measures the quality of recommendations for
// its users during the import.
//
// The ratings before one point in time are sent first. Then the recommendations for that time are
// compared with what users rated well later. The later ratings are sent last, so the measured
// recommendations, including trends, know nothing of the future. If the language model does not
// improve them significantly, the catalog's weight for it is set to 0.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "offline/client.h"
#include "offline/evaluation/served.h"
#include "offline/import/importer.h"
#include "offline/import/movielens_reader.h"
#include "offline/import/reporter.h"

namespace palate::evaluation {

struct MovieLensOptions {
  std::string folder;
  offline::ImportOptions import;  // catalog and checkpoint; the import sets source_name
  // Measures only if the catalog has no events yet: later the store knows the future.
  bool evaluate = true;
  double train_share = 0.8;   // of the ratings, by time
  double liked_from = 4.0;    // the lowest rating that counts as relevant
  int min_train_ratings = 5;  // users with fewer before the split are not measured
  double trial_weight = 0.5;  // the language model's weight while it is measured
};

// Blocks until everything is sent and searchable. Returns how many lines, or parts of them, were
// malformed or refused. Fails when a call fails or the files are missing; Aborted after more
// failures than `import` allows.
absl::StatusOr<int64_t> ImportMovieLens(offline::Client& client, const MovieLensOptions& options,
                                        offline::Reporter& reporter);

// The users to measure: those with enough ratings before `split` who afterwards rated at least one
// movie of movies.csv well that they had not rated before.
std::vector<EvaluationCase> MovieLensCases(const offline::MovieLens& data, absl::Time split,
                                           const MovieLensOptions& options);

// Movie ids by number of ratings before `split`, most first.
std::vector<std::string> PopularBefore(const offline::MovieLens& data, absl::Time split);

}  // namespace palate::evaluation
