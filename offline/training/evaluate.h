// Measures the built-in models on held-out shops (splits.h): shoppers, products, combinations and a
// time span that were never trained on.
//
// Ranking goes through the real pipeline (pipeline/recommender.h) at the moment when the test span
// begins; the truth is what the shopper then wants. Deterministic but for the language model's
// float sums.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/families/bert/bert.h"
#include "models/families/vit/vit.h"
#include "models/image/processor.h"
#include "nlohmann/json.hpp"
#include "offline/demo/shop.h"
#include "offline/evaluation/metrics.h"
#include "offline/training/shop_parts.h"
#include "pipeline/interfaces.h"

namespace palate::training {

// NDCG@10 per shopper, in shopper order; every list has the same length.
struct RankingFigures {
  std::vector<double> popularity;   // trending, unseen
  std::vector<double> first_stage;  // the full pipeline without the language model
  std::vector<double> model;        // the head ordered by the language model alone
  std::vector<double> blended;      // the pipeline as it serves
  std::vector<double> oracle;       // the truth's own order
  // Truth by interaction: what the shopper did in the test span.
  std::vector<double> interaction_first_stage;
  std::vector<double> interaction_blended;

  void Append(const RankingFigures& other);
};

// What people were told, over the first results of the blended order.
struct ExplanationFigures {
  int total = 0;
  int accepted = 0;                     // the model's own text passed the evidence check
  std::vector<std::string> samples;     // some accepted texts
  std::vector<std::string> rejections;  // some reasons
};

struct ImageFigures {
  int products = 0;
  int64_t gallery = 0;  // texts to choose from: one per product
  double kind_by_caption =
      0;                    // R@1: the nearest of the kinds' captions ("a teapot") is the right one
  double kind_at_1 = 0;     // the nearest product text is of the right kind
  double kind_at_10 = 0;    // one of the ten nearest is
  double product_at_1 = 0;  // the nearest product text is the product's own
  double product_at_10 = 0;
  double text_mean =
      0;  // of inner products between texts of different products, and their deviation
  double text_deviation = 0;
  double image_mean = 0;  // the same between pictures
  double image_deviation = 0;
};

struct EvaluationOptions {
  std::vector<uint64_t> seeds = {1, 2, 3};
  double rerank_weight = 0.5;
  int explained_shoppers = 40;  // per seed, three results each
};

// Vectors of the shop's products as the services make them: text fields by the text tower, pictures
// by the image tower.
absl::StatusOr<ShopVectors> EmbedShop(const demo::Shop& shop, const models::SentenceEncoder& text,
                                      const models::VitModel& vision,
                                      const models::ImageProcessor& processor);

absl::StatusOr<RankingFigures> MeasureRanking(const demo::Shop& shop, const ShopVectors& vectors,
                                              pipeline::CandidateRanker& ranker,
                                              double rerank_weight);
absl::StatusOr<ExplanationFigures> MeasureExplanations(const demo::Shop& shop,
                                                       const ShopVectors& vectors,
                                                       pipeline::CandidateRanker& ranker,
                                                       const EvaluationOptions& options);
absl::StatusOr<ImageFigures> MeasureImages(const demo::Shop& shop, const ShopVectors& vectors,
                                           const models::SentenceEncoder& text);

// What is measured. Borrowed.
struct MeasuredModels {
  const models::SentenceEncoder& text;
  const models::VitModel& vision;
  const models::ImageProcessor& processor;
  pipeline::CandidateRanker& ranker;
};

// The pipeline at one weight of the language model.
struct WeightFigures {
  double weight = 0;
  std::vector<double> ndcg;  // NDCG@10 per shopper, in the same order at every weight
};

struct SweepOptions {
  std::vector<double> weights;  // each in [0, 1], at least one
  int shops = 6;
  uint64_t seed = 1;  // of the choice of shops
};

// Over validation shops, so that a weight is chosen before the held-out shops are looked at. In the
// order of the weights.
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

// All of the above over one held-out shop per seed. Some minutes.
absl::StatusOr<EvaluationFigures> Evaluate(const MeasuredModels& models,
                                           const EvaluationOptions& options);
// Tables for people, and the same as JSON.
std::string FormatFigures(const EvaluationFigures& figures);
std::string FormatSweep(const std::vector<WeightFigures>& sweep);
nlohmann::json ToJson(const EvaluationFigures& figures);

}  // namespace palate::training
