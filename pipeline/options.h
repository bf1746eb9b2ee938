// The pipeline's settings. Every value can be set in the gateway's configuration.
//
// Plain values: copyable, no synchronization.
#pragma once

#include "absl/time/time.h"
#include "pipeline/user_model.h"

namespace palate::pipeline {

// Weights of the signals that the first stage adds up. Each signal is first standardized over the
// request's candidates, so that the weights have the same scale.
struct ScoreWeights {
  double text_interest = 1.0;
  double image_interest = 0.3;
  double dislike = 0.4;  // subtracted
  double query = 2.0;
  // Of the match between a query's words and a picture where an item's text matches too, relative
  // to the text; 0: words are not compared with pictures.
  double query_image = 0.6;
  double context = 1.0;
  double trending = 0.25;
  double fresh = 0.1;
};

struct PipelineOptions {
  UserModelOptions user_model;
  ScoreWeights score;
  int max_events = 200;  // of the user, read in the hydrate stage; 1 to 1,000
  // Requested from each source, and more where the request wants more results; 10 to 500.
  int candidates_per_source = 100;
  // The first candidates, which the language model orders; the others keep their order after them.
  int rerank_candidates = 50;
  int max_llm_explanations = 10;  // results beyond these get template texts
  // Time limit of the source stage: embedding the query and searching.
  absl::Duration source_budget = absl::Milliseconds(500);
  // Part of the deadline that is kept for the stages after the language model.
  absl::Duration rerank_reserve = absl::Milliseconds(20);
  // With less time left, the language model is not asked to rank, or to explain.
  absl::Duration min_rerank_time = absl::Milliseconds(15);
  absl::Duration min_explain_time = absl::Milliseconds(30);
  absl::Duration impression_timeout = absl::Seconds(2);
};

}  // namespace palate::pipeline
