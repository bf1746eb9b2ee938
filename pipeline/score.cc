#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "pipeline/recommend_stages.h"

namespace palate::pipeline {
namespace {

using Signal = std::vector<std::optional<double>>;  // one per candidate; absent: unknown

// Adds weight * (value - mean) / deviation to each total. An absent value adds nothing, as the mean
// would.
void AddStandardized(const Signal& signal, double weight, std::vector<double>& totals) {
  double sum = 0;
  double squares = 0;
  int count = 0;
  for (const std::optional<double>& value : signal) {
    if (!value.has_value()) continue;
    sum += *value;
    squares += *value * *value;
    ++count;
  }
  if (count < 2) return;

  const double mean = sum / count;
  const double variance = squares / count - mean * mean;
  if (variance < 1e-12) return;
  const double scale = weight / std::sqrt(variance);

  for (size_t i = 0; i < signal.size(); ++i) {
    if (signal[i].has_value()) totals[i] += scale * (*signal[i] - mean);
  }
}

// The best match with any interest centroid in `space`. A weaker centroid's match is scaled down,
// to half at the least.
Signal InterestSignal(const std::vector<Candidate>& candidates,
                      const std::vector<InterestCentroid>& interests, const std::string& space) {
  double strongest = 0;
  for (const InterestCentroid& interest : interests) {
    if (interest.space.name == space) strongest = std::max(strongest, interest.weight);
  }

  Signal signal(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    for (const InterestCentroid& interest : interests) {
      const std::vector<float>* vector =
          interest.space.name == space ? candidates[i].FindVector(interest.space) : nullptr;
      if (vector == nullptr || vector->size() != interest.centroid.size()) continue;
      const double match =
          Dot(*vector, interest.centroid) * (0.5 + 0.5 * interest.weight / strongest);
      signal[i] = std::max(signal[i].value_or(match), match);
    }
  }

  return signal;
}

// The inner product of the query's vector with the item's; where the item no longer has one, since
// its space has changed to another model during the request, the one that the search found.
std::optional<double> QueryMatch(const Candidate& candidate, const SpaceVector& query) {
  const std::vector<float>* own = candidate.FindVector(query.space);
  if (own != nullptr && own->size() == query.values.size()) return Dot(*own, query.values);
  for (const Reason& reason : candidate.reasons) {
    if (reason.source == Source::kQuery && reason.space == query.space.name) return reason.score;
  }
  return std::nullopt;
}

// What a query's words match with: the item's text, its picture, or both together, whichever tells
// most, so that a picture never takes away from a title that matches. Both together are the
// weighted sum, divided by the length of the weights (Stouffer's method): chance has the same
// spread in all.
double BestMatch(double text, double picture, double picture_weight) {
  const double both =
      (text + picture_weight * picture) / std::sqrt(1 + picture_weight * picture_weight);
  return std::max({text, picture, both});
}

// The calibrated match with the query, summed over the query's parts: words and image.
Signal QuerySignal(const std::vector<Candidate>& candidates,
                   const std::vector<QueryVector>& queries, double picture_weight) {
  Signal signal(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    std::optional<double> picture;  // that the words match with
    for (const QueryVector& query : queries) {
      if (query.words_for_image && picture_weight == 0) continue;
      std::optional<double> match = QueryMatch(candidates[i], query.vector);
      if (!match.has_value()) continue;
      *match = (*match - query.score_mean) / query.score_deviation;
      if (query.words_for_image) {
        picture = match;
      } else {
        signal[i] = signal[i].value_or(0) + *match;
      }
    }

    if (!picture.has_value()) continue;
    signal[i] = signal[i].has_value() ? BestMatch(*signal[i], *picture, picture_weight) : *picture;
  }
  return signal;
}

Signal ContextSignal(const std::vector<Candidate>& candidates,
                     const std::vector<ItemWithVectors>& items) {
  Signal signal(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    for (const ItemWithVectors& item : items) {
      for (const SpaceVector& vector : item.vectors) {
        const std::vector<float>* own = candidates[i].FindVector(vector.space);
        if (own == nullptr || own->size() != vector.values.size()) continue;
        const double match = Dot(*own, vector.values);
        signal[i] = std::max(signal[i].value_or(match), match);
      }
    }
  }
  return signal;
}

// The logarithm, because popularity is heavy-tailed; 0 for an item outside the list.
Signal TrendingSignal(const std::vector<Candidate>& candidates,
                      const std::vector<ScoredItem>& trending) {
  std::map<std::string, double> scores;
  for (const ScoredItem& item : trending)
    scores[item.item_id] = std::log1p(std::max(0.0, item.score));

  Signal signal(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    const auto found = scores.find(candidates[i].item_id);
    signal[i] = found == scores.end() ? 0 : found->second;
  }
  return signal;
}

// Falls linearly from 1 for the newest item towards 0 at the end of the list; 0 outside it.
Signal FreshSignal(const std::vector<Candidate>& candidates, const std::vector<ScoredItem>& fresh) {
  std::map<std::string, double> scores;
  for (size_t i = 0; i < fresh.size(); ++i)
    scores[fresh[i].item_id] = 1.0 - static_cast<double>(i) / fresh.size();

  Signal signal(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    const auto found = scores.find(candidates[i].item_id);
    signal[i] = found == scores.end() ? 0 : found->second;
  }
  return signal;
}

void OrderByScore(std::vector<Candidate>& candidates, const std::vector<double>& scores) {
  for (size_t i = 0; i < scores.size(); ++i)
    candidates[i].score = candidates[i].relevance_score = scores[i];
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score > b.score : a.item_id < b.item_id;
  });
}

}  // namespace

void ScoreByQuery(RequestState& state, const ScoreWeights& weights) {
  const Signal signal = QuerySignal(state.candidates, state.query_vectors, weights.query_image);
  std::vector<double> scores;
  for (const std::optional<double>& value : signal) scores.push_back(value.value_or(0));
  OrderByScore(state.candidates, scores);
}

absl::Status ScoreStage::Run(RequestState& state) const {
  const std::vector<Candidate>& candidates = state.candidates;
  const ScoreWeights& weights = options_.score;
  std::vector<double> totals(candidates.size(), 0);

  AddStandardized(InterestSignal(candidates, state.user_model.likes, kTextSpace),
                  weights.text_interest, totals);
  AddStandardized(InterestSignal(candidates, state.user_model.likes, kImageSpace),
                  weights.image_interest, totals);
  AddStandardized(InterestSignal(candidates, state.user_model.dislikes, kTextSpace),
                  -weights.dislike, totals);
  AddStandardized(QuerySignal(candidates, state.query_vectors, weights.query_image), weights.query,
                  totals);
  AddStandardized(ContextSignal(candidates, state.context_items), weights.context, totals);
  AddStandardized(TrendingSignal(candidates, state.context.trending), weights.trending, totals);
  AddStandardized(FreshSignal(candidates, state.context.fresh), weights.fresh, totals);

  OrderByScore(state.candidates, totals);
  return absl::OkStatus();
}

}  // namespace palate::pipeline
