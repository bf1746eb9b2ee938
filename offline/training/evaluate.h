// Measures the built-in models on held-out shops (splits.h): their shoppers, products, combinations
// and time span are not part of the training data.
//
// Rankings come from the real pipeline (pipeline/recommender.h), requested at the moment when the
// test span begins; the ground truth is the shopper's utility at that moment. Deterministic except
// for the rounding of the language model's sums. Free functions that use the models from the
// calling thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "embedding/embedder.h"
#include "nlohmann/json.hpp"
#include "offline/demo/shop.h"
#include "offline/evaluation/metrics.h"
#include "offline/training/shop_parts.h"
#include "pipeline/interfaces.h"

namespace palate::training {

// NDCG@10 per shopper who wants an unseen product, in shopper order. The lists have the same
// length, except the two of interactions, which only have shoppers with interactions in the test
// span.
struct RankingFigures {
  std::vector<double> popularity;   // the trending products that the shopper has not seen
  std::vector<double> first_stage;  // the full pipeline without the language model
  std::vector<double> model;        // the reranked head, ordered by the language model alone
  std::vector<double> blended;      // the pipeline at the given rerank weight
  std::vector<double> oracle;       // ordered by the ground truth
  // Ground truth by interaction: the shopper's events in the test span.
  std::vector<double> interaction_first_stage;
  std::vector<double> interaction_blended;

  void Append(const RankingFigures& other);
};

// Of the explanations of the first results in the blended order.
struct ExplanationFigures {
  int total = 0;
  int accepted = 0;                     // written by the model, and passed the evidence check
  std::vector<std::string> samples;     // some accepted texts
  std::vector<std::string> rejections;  // why some of the model's texts were rejected
};

struct ImageFigures {
  int products = 0;
  int64_t gallery = 0;  // texts to choose from: one per product
  // Shares of the products, in [0, 1].
  double kind_by_caption = 0;  // the nearest of the kinds' captions ("a teapot") is the right one
  double kind_at_1 = 0;        // the nearest product text is of the right kind
  double kind_at_10 = 0;       // one of the ten nearest product texts is of the right kind
  double product_at_1 = 0;     // the nearest product text is that of the product
  double product_at_10 = 0;    // one of the ten nearest product texts is
  // Mean and standard deviation of the inner products between different products.
  double text_mean = 0;
  double text_deviation = 0;
  double image_mean = 0;
  double image_deviation = 0;
};

struct EvaluationOptions {
  std::vector<uint64_t> seeds = {1, 2, 3};
  double rerank_weight = 0.5;
  int explained_shoppers = 40;  // per seed, three results each
};

absl::StatusOr<RankingFigures> MeasureRanking(const demo::Shop& shop, const ShopVectors& vectors,
                                              pipeline::CandidateRanker& ranker,
                                              double rerank_weight);
absl::StatusOr<ExplanationFigures> MeasureExplanations(const demo::Shop& shop,
                                                       const ShopVectors& vectors,
                                                       pipeline::CandidateRanker& ranker,
                                                       const EvaluationOptions& options);
absl::StatusOr<ImageFigures> MeasureImages(const demo::Shop& shop, const ShopVectors& vectors,
                                           embedding::Embedder& embedder);

// The models to measure. Borrowed.
struct MeasuredModels {
  embedding::Embedder& embedder;
  pipeline::CandidateRanker& ranker;
};

// The pipeline at one rerank weight.
struct WeightFigures {
  double weight = 0;
  std::vector<double> ndcg;  // NDCG@10 per shopper, in the same order at every weight
};

struct SweepOptions {
  std::vector<double> weights;  // each in [0, 1], at least one
  int shops = 6;
  uint64_t seed = 1;  // of the choice of shops
};

// Measures the weights on validation shops, so that choosing one does not use the held-out shops.
// Results are in the order of options.weights.
absl::StatusOr<std::vector<WeightFigures>> SweepWeights(const MeasuredModels& models,
                                                        const SweepOptions& options);

struct EvaluationFigures {
  double rerank_weight = 0;
  std::vector<uint64_t> seeds;
  RankingFigures ranking;  // over all seeds
  std::vector<RankingFigures> by_seed;
  ExplanationFigures explanations;   // over all seeds
  std::vector<ImageFigures> images;  // by seed
};

// All measurements above on one held-out shop per seed. Takes some minutes.
absl::StatusOr<EvaluationFigures> Evaluate(const MeasuredModels& models,
                                           const EvaluationOptions& options);
// Tables for people, and the same figures as JSON.
std::string FormatFigures(const EvaluationFigures& figures);
std::string FormatSweep(const std::vector<WeightFigures>& sweep);
nlohmann::json ToJson(const EvaluationFigures& figures);

}  // namespace palate::training
