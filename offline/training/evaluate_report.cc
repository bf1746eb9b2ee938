// Runs the measurements of evaluate.h over all seeds and formats the reports.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log.h"
#include "base/status.h"
#include "offline/training/evaluate.h"
#include "offline/training/shop_vectors.h"
#include "offline/training/splits.h"

namespace palate::training {
namespace {

constexpr uint64_t kBootstrapSeed = 1;
constexpr size_t kReportedSamples = 8;

void Merge(const ExplanationFigures& from, ExplanationFigures& to) {
  to.total += from.total;
  to.accepted += from.accepted;
  for (const auto& [texts, all] :
       {std::pair(&from.samples, &to.samples), std::pair(&from.rejections, &to.rejections)}) {
    for (const std::string& text : *texts) {
      if (all->size() < kReportedSamples) all->push_back(text);
    }
  }
}

std::string Number(double value) { return absl::StrFormat("%.4f", value); }

std::string Percent(double value) { return absl::StrFormat("%+.1f%%", 100 * value); }

std::vector<std::string> RankingRow(const std::string& name, const RankingFigures& figures) {
  const evaluation::Gain gain =
      evaluation::PairedBootstrap(figures.first_stage, figures.blended, kBootstrapSeed);
  return {
      name,
      absl::StrCat(figures.first_stage.size()),
      Number(evaluation::Mean(figures.popularity)),
      Number(evaluation::Mean(figures.first_stage)),
      Number(evaluation::Mean(figures.blended)),
      Number(evaluation::Mean(figures.model)),
      Number(evaluation::Mean(figures.oracle)),
      absl::StrCat(Percent(gain.relative), " [", Percent(gain.low), ", ", Percent(gain.high), "]")};
}

nlohmann::json GainJson(const std::vector<double>& a, const std::vector<double>& b) {
  const evaluation::Gain gain = evaluation::PairedBootstrap(a, b, kBootstrapSeed);
  return {{"relative", gain.relative}, {"low", gain.low}, {"high", gain.high}};
}

nlohmann::json RankingJson(const RankingFigures& figures) {
  return {{"shoppers", figures.first_stage.size()},
          {"popularity", evaluation::Mean(figures.popularity)},
          {"first_stage", evaluation::Mean(figures.first_stage)},
          {"blended", evaluation::Mean(figures.blended)},
          {"model_alone", evaluation::Mean(figures.model)},
          {"oracle", evaluation::Mean(figures.oracle)},
          {"gain", GainJson(figures.first_stage, figures.blended)},
          {"interactions_first_stage", evaluation::Mean(figures.interaction_first_stage)},
          {"interactions_blended", evaluation::Mean(figures.interaction_blended)},
          {"interactions_gain",
           GainJson(figures.interaction_first_stage, figures.interaction_blended)}};
}

double Share(int part, int whole) { return whole > 0 ? static_cast<double>(part) / whole : 0; }

}  // namespace

absl::StatusOr<EvaluationFigures> Evaluate(const MeasuredModels& models,
                                           const EvaluationOptions& options) {
  EvaluationFigures figures;
  figures.rerank_weight = options.rerank_weight;
  figures.seeds = options.seeds;

  for (const uint64_t seed : options.seeds) {
    PALATE_ASSIGN_OR_RETURN(const demo::Shop shop,
                            demo::GenerateShop(ShopOf(Split::kHeldOut, seed, 0)));

    spdlog::info("seed {}: embedding {} held-out products", seed, shop.products.size());
    PALATE_ASSIGN_OR_RETURN(const ShopVectors vectors, EmbedShop(shop, models.embedder));
    PALATE_ASSIGN_OR_RETURN(const ImageFigures images,
                            MeasureImages(shop, vectors, models.embedder));
    figures.images.push_back(images);

    spdlog::info("seed {}: ranking for {} shoppers", seed, shop.shoppers.size());
    PALATE_ASSIGN_OR_RETURN(RankingFigures ranking,
                            MeasureRanking(shop, vectors, models.ranker, options.rerank_weight));
    figures.ranking.Append(ranking);
    figures.by_seed.push_back(std::move(ranking));

    PALATE_ASSIGN_OR_RETURN(const ExplanationFigures explanations,
                            MeasureExplanations(shop, vectors, models.ranker, options));
    Merge(explanations, figures.explanations);
  }
  return figures;
}

std::string FormatFigures(const EvaluationFigures& figures) {
  std::vector<std::vector<std::string>> rows = {{"NDCG@10", "shoppers", "popularity", "first stage",
                                                 "blended", "model alone", "oracle",
                                                 "blended over the first stage (95%)"}};

  for (size_t i = 0; i < figures.by_seed.size(); ++i) {
    rows.push_back(RankingRow(absl::StrCat("seed ", figures.seeds[i]), figures.by_seed[i]));
  }
  rows.push_back(RankingRow("all", figures.ranking));

  std::string text = evaluation::FormatTable(rows);
  const evaluation::Gain interactions = evaluation::PairedBootstrap(
      figures.ranking.interaction_first_stage, figures.ranking.interaction_blended, kBootstrapSeed);

  absl::StrAppend(&text, "\nBy interactions in the test span: first stage ",
                  Number(evaluation::Mean(figures.ranking.interaction_first_stage)), ", blended ",
                  Number(evaluation::Mean(figures.ranking.interaction_blended)), ", ",
                  Percent(interactions.relative), " [", Percent(interactions.low), ", ",
                  Percent(interactions.high), "]\n\n");

  rows = {{"pictures", "products", "kind by caption", "kind R@1", "kind R@10", "product R@1",
           "product R@10", "text mean, dev", "image mean, dev"}};
  for (size_t i = 0; i < figures.images.size(); ++i) {
    const ImageFigures& images = figures.images[i];
    rows.push_back({absl::StrCat("seed ", figures.seeds[i]), absl::StrCat(images.products),
                    Number(images.kind_by_caption), Number(images.kind_at_1),
                    Number(images.kind_at_10), Number(images.product_at_1),
                    Number(images.product_at_10),
                    absl::StrCat(Number(images.text_mean), ", ", Number(images.text_deviation)),
                    absl::StrCat(Number(images.image_mean), ", ", Number(images.image_deviation))});
  }

  absl::StrAppend(&text, evaluation::FormatTable(rows));

  const ExplanationFigures& explanations = figures.explanations;
  absl::StrAppendFormat(
      &text,
      "\nExplanations: %d of %d (%.1f%%) were written by the model and passed the evidence check\n",
      explanations.accepted, explanations.total,
      100 * Share(explanations.accepted, explanations.total));

  for (const std::string& sample : explanations.samples)
    absl::StrAppend(&text, "  + ", sample, "\n");
  for (const std::string& reason : explanations.rejections)
    absl::StrAppend(&text, "  - ", reason, "\n");
  return text;
}

std::string FormatSweep(const std::vector<WeightFigures>& sweep) {
  std::vector<std::vector<std::string>> rows = {
      {"weight", "shoppers", "NDCG@10", "over the first weight (95%)"}};
  for (const WeightFigures& figures : sweep) {
    const evaluation::Gain gain =
        evaluation::PairedBootstrap(sweep.front().ndcg, figures.ndcg, kBootstrapSeed);
    rows.push_back({absl::StrFormat("%.2f", figures.weight), absl::StrCat(figures.ndcg.size()),
                    Number(evaluation::Mean(figures.ndcg)),
                    absl::StrCat(Percent(gain.relative), " [", Percent(gain.low), ", ",
                                 Percent(gain.high), "]")});
  }
  return evaluation::FormatTable(rows);
}

nlohmann::json ToJson(const EvaluationFigures& figures) {
  nlohmann::json json = {{"rerank_weight", figures.rerank_weight},
                         {"seeds", figures.seeds},
                         {"ranking", RankingJson(figures.ranking)}};

  for (const RankingFigures& seed : figures.by_seed)
    json["ranking_by_seed"].push_back(RankingJson(seed));
  for (const ImageFigures& images : figures.images) {
    json["images"].push_back({{"products", images.products},
                              {"kind_by_caption", images.kind_by_caption},
                              {"kind_at_1", images.kind_at_1},
                              {"kind_at_10", images.kind_at_10},
                              {"product_at_1", images.product_at_1},
                              {"product_at_10", images.product_at_10},
                              {"text_mean", images.text_mean},
                              {"text_deviation", images.text_deviation},
                              {"image_mean", images.image_mean},
                              {"image_deviation", images.image_deviation}});
  }

  json["explanations"] = {
      {"total", figures.explanations.total},
      {"accepted", figures.explanations.accepted},
      {"accepted_share", Share(figures.explanations.accepted, figures.explanations.total)}};
  return json;
}

}  // namespace palate::training
