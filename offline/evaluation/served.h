// How good are the answers that a running Palate really gives: NDCG@k of the served order with and
// without the language model, beside popularity and the best order possible, and the share of
// explanations that the model wrote itself.
//
// One answer per user serves both orders: it holds the first-stage score and the blended score of
// every item that the model was asked about. Thread-safe: free functions; the client is called from
// the calling thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "offline/client.h"
#include "offline/evaluation/metrics.h"

namespace palate::evaluation {

struct EvaluationCase {
  std::string user_id;
  Relevance relevance;                    // what the user did after `request_time`, unseen before
  absl::flat_hash_set<std::string> seen;  // not to be recommended by the popularity baseline either
};

struct ServedOptions {
  std::string catalog;
  absl::Time request_time;
  int k = 10;
  int depth = 50;            // results asked for: as many as the language model orders
  int explained_users = 20;  // of the first so many users, the first k results are explained
  uint64_t bootstrap_seed = 1;
  absl::Duration call_timeout = absl::Seconds(30);
};

struct ServedQuality {
  int users = 0;
  double popularity = 0;  // mean NDCG@k
  double first_stage = 0;
  double with_model = 0;
  double oracle = 0;       // the best order of the same candidates
  Gain gain;               // of with_model over first_stage
  double mean_weight = 0;  // that the model's score had
  int explanations = 0;
  int explanations_by_model = 0;  // passed the evidence check
};

// `popular`: item ids, most popular before request_time first. Fails when an answer does.
absl::StatusOr<ServedQuality> EvaluateServed(
    offline::Client& client, const std::vector<EvaluationCase>& cases,
    const std::vector<std::string>& popular, const ServedOptions& options,
    const std::function<void(int64_t done, int64_t total)>& on_progress);

// The table of a report: one row per order.
std::string FormatQuality(const ServedQuality& quality, int k);

}  // namespace palate::evaluation
