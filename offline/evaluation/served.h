// Measures the recommendations of a running Palate: NDCG@k with and without the language model,
// compared with popularity and with the best possible order, and the share of explanations that the
// model wrote.
//
// One response per user gives both orders, because it holds the first-stage score and the blended
// score of every item that the model scored. Thread-safe: free functions; the client is called from
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
  Relevance relevance;                    // items the user chose after `request_time`, not before
  absl::flat_hash_set<std::string> seen;  // excluded from the popularity baseline
};

struct ServedOptions {
  std::string catalog;
  absl::Time request_time;
  int k = 10;
  int depth = 50;            // results per request: as many as the language model reranks
  int explained_users = 20;  // the first k results are explained for this many users
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
  double mean_weight = 0;  // of the model's score
  int explanations = 0;
  int explanations_by_model = 0;  // that passed the evidence check
};

// `popular`: item ids by popularity before request_time, most popular first. Fails when a request
// fails.
absl::StatusOr<ServedQuality> EvaluateServed(
    offline::Client& client, const std::vector<EvaluationCase>& cases,
    const std::vector<std::string>& popular, const ServedOptions& options,
    const std::function<void(int64_t done, int64_t total)>& on_progress);

// Formats the result as a table with one row per order.
std::string FormatQuality(const ServedQuality& quality, int k);

}  // namespace palate::evaluation
