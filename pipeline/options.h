// How the pipeline spends its budget. Every value can be set in the gateway's configuration.
#pragma once

#include "absl/time/time.h"
#include "pipeline/user_model.h"

namespace palate::pipeline {

// What the first stage adds up. Each signal is standardized over the request's candidates first, so
// the weights compare like with like.
struct ScoreWeights {
  double text_interest = 1.0;
  double image_interest = 0.6;
  double dislike = 0.4;  // subtracted
  double query = 2.0;
  double context = 1.0;
  double trending = 0.25;
  double fresh = 0.1;
};

struct PipelineOptions {
  UserModelOptions user_model;
  ScoreWeights score;
  int max_events = 200;             // of the user, read in the hydrate stage; 1 to 1,000
  int candidates_per_source = 100;  // asked of each source; 10 to 500
  int rerank_candidates =
      50;  // what the language model orders; the rest keeps its order below them
  int max_llm_explanations = 10;  // results beyond these get template texts
  absl::Duration source_budget =
      absl::Milliseconds(500);  // for retrieval and for the query's embedding
  absl::Duration rerank_reserve =
      absl::Milliseconds(20);  // kept of the deadline for what follows the language model
  absl::Duration min_rerank_time =
      absl::Milliseconds(15);  // with less left the language model is not asked
  absl::Duration min_explain_time = absl::Milliseconds(30);
  absl::Duration impression_timeout = absl::Seconds(2);
};

}  // namespace palate::pipeline
