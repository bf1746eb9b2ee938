#include "offline/training/evaluate.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "offline/demo/vocabulary.h"
#include "offline/training/shop_vectors.h"
#include "offline/training/splits.h"
#include "pipeline/recommender.h"

namespace palate::training {
namespace {

constexpr int kResults = 10;
constexpr int kExplainedResults = 3;
constexpr size_t kSamples = 8;

// The pipeline over one shop.
class ShopRecommender {
 public:
  ShopRecommender(const demo::Shop& shop, const ShopVectors& vectors,
                  pipeline::CandidateRanker& ranker)
      : shop_(shop),
        features_(shop, vectors),
        retriever_(shop, vectors),
        recommender_({features_, embedder_, retriever_, ranker}, clock_,
                     pipeline::PipelineOptions()) {}

  absl::StatusOr<pipeline::RecommendResult> Recommend(const demo::Shopper& shopper,
                                                      double rerank_weight,
                                                      pipeline::ExplainMode explain, int results) {
    features_.set_rerank_weight(rerank_weight);

    pipeline::RecommendQuery query;
    query.catalog = shop_.catalog.id;
    query.user_id = shopper.id;
    query.num_results = results;
    query.explain = explain;
    query.request_time = shop_.split_time;

    return recommender_.Recommend(query, {.deadline = absl::Now() + absl::Minutes(5)});
  }

  ShopFeatures& features() { return features_; }

 private:
  const demo::Shop& shop_;
  SystemClock clock_;
  ShopFeatures features_;
  ShopRetriever retriever_;
  NoEmbedder embedder_;
  pipeline::Recommender recommender_;
};

std::vector<std::string> IdsOf(const pipeline::RecommendResult& result) {
  std::vector<std::string> ids;
  for (const pipeline::ResultItem& item : result.results) ids.push_back(item.item.id);
  return ids;
}

// How much the shopper wants the products on sale that they have not seen.
evaluation::Relevance UnseenRelevance(const demo::Shop& shop, const demo::Shopper& shopper) {
  const absl::flat_hash_set<std::string> seen = demo::SeenBefore(shop, shopper, shop.split_time);
  evaluation::Relevance relevance = demo::TrueRelevance(shop, shopper, shop.split_time);
  absl::erase_if(relevance, [&](const auto& entry) { return seen.contains(entry.first); });

  for (const demo::Product& product : shop.products) {
    if (product.item.create_time > shop.split_time) relevance.erase(product.item.id);
  }
  return relevance;
}

void AppendAll(std::vector<double>& to, const std::vector<double>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// Mean and standard deviation of the inner products between different rows.
std::pair<double, double> Unrelated(const at::Tensor& rows) {
  const int64_t n = rows.size(0);
  const at::Tensor products = at::matmul(rows, rows.t()).to(at::kDouble);
  const double pairs = static_cast<double>(n * (n - 1));

  const double sum = products.sum().item<double>() - products.diagonal().sum().item<double>();
  const double squares =
      products.square().sum().item<double>() - products.diagonal().square().sum().item<double>();

  const double mean = sum / pairs;
  return {mean, std::sqrt(std::max(0.0, squares / pairs - mean * mean))};
}

at::Tensor ToTensor(const std::vector<std::vector<float>>& rows) {
  at::Tensor tensor = at::empty(
      {static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows.front().size())}, at::kFloat);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy(rows[i].begin(), rows[i].end(),
              tensor.data_ptr<float>() + static_cast<int64_t>(i) * tensor.size(1));
  }
  return tensor;
}

}  // namespace

void RankingFigures::Append(const RankingFigures& other) {
  AppendAll(popularity, other.popularity);
  AppendAll(first_stage, other.first_stage);
  AppendAll(model, other.model);
  AppendAll(blended, other.blended);
  AppendAll(oracle, other.oracle);
  AppendAll(interaction_first_stage, other.interaction_first_stage);
  AppendAll(interaction_blended, other.interaction_blended);
}

absl::StatusOr<RankingFigures> MeasureRanking(const demo::Shop& shop, const ShopVectors& vectors,
                                              pipeline::CandidateRanker& ranker,
                                              double rerank_weight) {
  ShopRecommender recommender(shop, vectors, ranker);
  const std::vector<ScoredItem> trending =
      recommender.features().Trending(shop.split_time, shop.products.size());

  RankingFigures figures;
  for (const demo::Shopper& shopper : shop.shoppers) {
    const evaluation::Relevance truth = UnseenRelevance(shop, shopper);
    if (truth.empty())
      continue;  // they want nothing that is on sale, so every order is equally good

    const auto ndcg = [&](double weight) -> absl::StatusOr<std::vector<std::string>> {
      PALATE_ASSIGN_OR_RETURN(
          const pipeline::RecommendResult result,
          recommender.Recommend(shopper, weight, pipeline::ExplainMode::kNone, kResults));
      return IdsOf(result);
    };

    PALATE_ASSIGN_OR_RETURN(const std::vector<std::string> first_stage, ndcg(0));
    PALATE_ASSIGN_OR_RETURN(const std::vector<std::string> blended, ndcg(rerank_weight));
    PALATE_ASSIGN_OR_RETURN(const std::vector<std::string> model, ndcg(1));

    const absl::flat_hash_set<std::string> seen = demo::SeenBefore(shop, shopper, shop.split_time);
    std::vector<std::string> popular;
    for (const ScoredItem& item : trending) {
      if (!seen.contains(item.item_id)) popular.push_back(item.item_id);
    }

    figures.popularity.push_back(evaluation::NdcgAt(kResults, popular, truth));
    figures.first_stage.push_back(evaluation::NdcgAt(kResults, first_stage, truth));
    figures.model.push_back(evaluation::NdcgAt(kResults, model, truth));
    figures.blended.push_back(evaluation::NdcgAt(kResults, blended, truth));
    figures.oracle.push_back(evaluation::NdcgAt(kResults, evaluation::OracleRanking(truth), truth));

    const evaluation::Relevance interactions = demo::HeldOutInteractions(shop, shopper);
    if (interactions.empty()) continue;
    figures.interaction_first_stage.push_back(
        evaluation::NdcgAt(kResults, first_stage, interactions));
    figures.interaction_blended.push_back(evaluation::NdcgAt(kResults, blended, interactions));
  }
  return figures;
}

absl::StatusOr<std::vector<WeightFigures>> SweepWeights(const MeasuredModels& models,
                                                        const SweepOptions& options) {
  std::vector<WeightFigures> sweep;
  for (const double weight : options.weights) sweep.push_back({weight, {}});

  for (int number = 0; number < options.shops; ++number) {
    PALATE_ASSIGN_OR_RETURN(const demo::Shop shop,
                            demo::GenerateShop(ShopOf(Split::kValidation, options.seed,
                                                      static_cast<uint64_t>(number))));
    PALATE_ASSIGN_OR_RETURN(const ShopVectors vectors, EmbedShop(shop, models.embedder));

    spdlog::info("validation shop {}: {} products, {} shoppers", number, shop.products.size(),
                 shop.shoppers.size());
    ShopRecommender recommender(shop, vectors, models.ranker);

    for (const demo::Shopper& shopper : shop.shoppers) {
      const evaluation::Relevance truth = UnseenRelevance(shop, shopper);
      if (truth.empty()) continue;
      for (WeightFigures& figures : sweep) {
        PALATE_ASSIGN_OR_RETURN(
            const pipeline::RecommendResult result,
            recommender.Recommend(shopper, figures.weight, pipeline::ExplainMode::kNone, kResults));
        figures.ndcg.push_back(evaluation::NdcgAt(kResults, IdsOf(result), truth));
      }
    }
  }
  return sweep;
}

absl::StatusOr<ExplanationFigures> MeasureExplanations(const demo::Shop& shop,
                                                       const ShopVectors& vectors,
                                                       pipeline::CandidateRanker& ranker,
                                                       const EvaluationOptions& options) {
  ShopRecommender recommender(shop, vectors, ranker);
  ExplanationFigures figures;
  const size_t shoppers =
      std::min(shop.shoppers.size(), static_cast<size_t>(options.explained_shoppers));

  for (size_t i = 0; i < shoppers; ++i) {
    PALATE_ASSIGN_OR_RETURN(const pipeline::RecommendResult result,
                            recommender.Recommend(shop.shoppers[i], options.rerank_weight,
                                                  pipeline::ExplainMode::kLlm, kExplainedResults));

    for (const pipeline::ResultItem& item : result.results) {
      if (!item.explanation.has_value()) continue;
      ++figures.total;
      if (item.explanation->source == ranking::ExplanationSource::kLlm) {
        ++figures.accepted;
        if (figures.samples.size() < kSamples) figures.samples.push_back(item.explanation->text);
      } else if (figures.rejections.size() < kSamples) {
        figures.rejections.push_back(item.explanation->rejected_reason);
      }
    }
  }
  return figures;
}

absl::StatusOr<ImageFigures> MeasureImages(const demo::Shop& shop, const ShopVectors& vectors,
                                           embedding::Embedder& embedder) {
  const at::NoGradGuard no_grad;
  const at::Tensor texts = ToTensor(vectors.text), images = ToTensor(vectors.image);

  std::vector<std::string> captions;
  std::map<std::string, int64_t> kind_index;
  for (const demo::KindWord& kind : demo::Kinds()) {
    kind_index[kind.name] = static_cast<int64_t>(captions.size());
    captions.push_back(kind.plural ? kind.name : absl::StrCat("a ", kind.name));
  }

  PALATE_ASSIGN_OR_RETURN(const auto kinds, EmbedTexts(embedder, captions));
  const at::Tensor nearest_kind = at::matmul(images, ToTensor(kinds).t()).argmax(1);

  const at::Tensor scores = at::matmul(images, texts.t());
  const int64_t n = images.size(0), top = std::min<int64_t>(n, 10);
  const at::Tensor best = std::get<1>(at::topk(scores, top, 1)).contiguous();

  ImageFigures figures;
  figures.products = static_cast<int>(n);
  figures.gallery = n;

  for (int64_t i = 0; i < n; ++i) {
    const std::string& kind = shop.products[static_cast<size_t>(i)].kind;
    bool kind_found = false, product_found = false;
    for (int64_t k = 0; k < top; ++k) {
      const int64_t hit = best.data_ptr<int64_t>()[i * top + k];
      kind_found = kind_found || shop.products[static_cast<size_t>(hit)].kind == kind;
      product_found = product_found || hit == i;
      if (k > 0) continue;
      figures.kind_at_1 += kind_found;
      figures.product_at_1 += product_found;
    }

    figures.kind_at_10 += kind_found;
    figures.product_at_10 += product_found;
    figures.kind_by_caption += nearest_kind.data_ptr<int64_t>()[i] == kind_index[kind];
  }

  for (double* share : {&figures.kind_at_1, &figures.kind_at_10, &figures.product_at_1,
                        &figures.product_at_10, &figures.kind_by_caption}) {
    *share /= static_cast<double>(n);
  }

  std::tie(figures.text_mean, figures.text_deviation) = Unrelated(texts);
  std::tie(figures.image_mean, figures.image_deviation) = Unrelated(images);
  return figures;
}

}  // namespace palate::training
