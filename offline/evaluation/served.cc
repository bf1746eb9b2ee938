#include "offline/evaluation/served.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"

namespace palate::evaluation {
namespace {

using pipeline::ResultItem;

std::vector<std::string> OrderBy(const std::vector<ResultItem>& results,
                                 double ResultItem::*score) {
  std::vector<std::pair<double, std::string>> order;
  for (const ResultItem& result : results) order.emplace_back(-(result.*score), result.item.id);
  std::sort(order.begin(), order.end());

  std::vector<std::string> ids;
  for (auto& [negated, id] : order) ids.push_back(std::move(id));
  return ids;
}

std::vector<std::string> PopularUnseen(const std::vector<std::string>& popular,
                                       const EvaluationCase& user, int k) {
  std::vector<std::string> ids;
  for (const std::string& id : popular) {
    if (static_cast<int>(ids.size()) >= k) break;
    if (!user.seen.contains(id)) ids.push_back(id);
  }
  return ids;
}

// NDCG of the best possible order of the returned candidates.
double BestOf(int k, const std::vector<ResultItem>& results, const Relevance& relevance) {
  Relevance found;
  for (const ResultItem& result : results) {
    if (const auto entry = relevance.find(result.item.id); entry != relevance.end())
      found.insert(*entry);
  }
  return NdcgAt(k, OracleRanking(found), relevance);
}

pipeline::RecommendQuery QueryFor(const EvaluationCase& user, const ServedOptions& options) {
  pipeline::RecommendQuery query;
  query.catalog = options.catalog;
  query.scenario = "evaluation";
  query.user_id = user.user_id;
  query.request_time = options.request_time;
  query.num_results = options.depth;
  return query;
}

absl::Status CountExplanations(offline::Client& client, const EvaluationCase& user,
                               const ServedOptions& options, ServedQuality& quality) {
  pipeline::RecommendQuery query = QueryFor(user, options);
  query.num_results = options.k;
  query.explain = pipeline::ExplainMode::kLlm;
  PALATE_ASSIGN_OR_RETURN(const offline::Answer answer,
                          client.Recommend(query, options.call_timeout));

  for (const ResultItem& result : answer.result.results) {
    ++quality.explanations;
    quality.explanations_by_model += result.explanation.has_value() &&
                                     result.explanation->source == ranking::ExplanationSource::kLlm;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ServedQuality> EvaluateServed(
    offline::Client& client, const std::vector<EvaluationCase>& cases,
    const std::vector<std::string>& popular, const ServedOptions& options,
    const std::function<void(int64_t done, int64_t total)>& on_progress) {
  ServedQuality quality;
  std::vector<double> first_stage;
  std::vector<double> with_model;

  for (const EvaluationCase& user : cases) {
    PALATE_ASSIGN_OR_RETURN(const offline::Answer answer,
                            client.Recommend(QueryFor(user, options), options.call_timeout));
    const std::vector<ResultItem>& results = answer.result.results;

    first_stage.push_back(
        NdcgAt(options.k, OrderBy(results, &ResultItem::relevance_score), user.relevance));
    with_model.push_back(NdcgAt(options.k, OrderBy(results, &ResultItem::score), user.relevance));

    quality.popularity +=
        NdcgAt(options.k, PopularUnseen(popular, user, options.k), user.relevance);
    quality.oracle += BestOf(options.k, results, user.relevance);
    quality.mean_weight += answer.result.rerank_weight;

    if (quality.users < options.explained_users) {
      PALATE_RETURN_IF_ERROR(CountExplanations(client, user, options, quality));
    }

    ++quality.users;
    on_progress(quality.users, static_cast<int64_t>(cases.size()));
  }

  if (quality.users == 0) return quality;
  quality.popularity /= quality.users;
  quality.oracle /= quality.users;
  quality.mean_weight /= quality.users;
  quality.first_stage = Mean(first_stage);
  quality.with_model = Mean(with_model);
  quality.gain = PairedBootstrap(first_stage, with_model, options.bootstrap_seed);
  return quality;
}

std::string FormatQuality(const ServedQuality& quality, int k) {
  const auto number = [](double value) { return absl::StrFormat("%.4f", value); };
  std::string text =
      FormatTable({{"order", absl::StrCat("NDCG@", k)},
                   {"most popular first", number(quality.popularity)},
                   {"first stage, without the language model", number(quality.first_stage)},
                   {"with the language model", number(quality.with_model)},
                   {"best order of the same candidates", number(quality.oracle)}});

  absl::StrAppendFormat(
      &text,
      "language model: %+.1f%% over the first stage, 95%% interval %+.1f%% to %+.1f%%, %d users\n",
      100 * quality.gain.relative, 100 * quality.gain.low, 100 * quality.gain.high, quality.users);

  if (quality.explanations > 0) {
    absl::StrAppendFormat(
        &text, "explanations: %d of %d are written by the model and passed the evidence check\n",
        quality.explanations_by_model, quality.explanations);
  }
  return text;
}

}  // namespace palate::evaluation
