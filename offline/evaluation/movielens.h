// Imports a MovieLens folder through the public API and, on the way, measures how well its users
// are served.
//
// The ratings before one point in time are sent first; the answers for that moment are compared
// with what users rated well later; then the rest follows. So nothing of the future is known to the
// answers that are measured, trends included. Where the language model does not help for certain,
// the catalog's weight for it is set to 0.
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
  offline::ImportOptions import;  // catalog and checkpoint; source_name is filled in
  bool evaluate =
      true;  // on the first, uninterrupted import only: later the store knows the future
  double train_share = 0.8;   // of the ratings, by time
  double liked_from = 4.0;    // a rating that counts as relevant
  int min_train_ratings = 5;  // users with fewer before the split are not measured
  double trial_weight = 0.5;  // the language model's weight while it is measured
};

absl::Status ImportMovieLens(offline::Client& client, const MovieLensOptions& options,
                             offline::Reporter& reporter);

// The users to measure: enough ratings before `split`, and at least one film rated well after it
// that the import holds.
std::vector<EvaluationCase> MovieLensCases(const offline::MovieLens& data, absl::Time split,
                                           const MovieLensOptions& options);

// Films by number of ratings before `split`.
std::vector<std::string> PopularBefore(const offline::MovieLens& data, absl::Time split);

}  // namespace palate::evaluation
