#include "pipeline/user_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace palate::pipeline {
namespace {

struct WeightedItem {
  std::string item_id;
  double weight = 0;
  const std::vector<float>* vector = nullptr;
};

// The items of one space with their summed weights, strongest first, ties by id.
std::vector<WeightedItem> StrongestFirst(std::map<std::string, WeightedItem> by_id) {
  std::vector<WeightedItem> items;
  for (auto& [id, item] : by_id) items.push_back(std::move(item));

  std::stable_sort(items.begin(), items.end(), [](const WeightedItem& a, const WeightedItem& b) {
    return a.weight > b.weight;
  });
  return items;
}

void AddScaled(const std::vector<float>& values, double scale, std::vector<float>& sum) {
  if (sum.empty()) sum.resize(values.size());
  for (size_t i = 0; i < values.size(); ++i) sum[i] += static_cast<float>(scale * values[i]);
}

// A centroid under construction: the weighted sum of its members so far, and the sum at unit
// length.
struct Cluster {
  std::vector<float> sum;
  std::vector<float> centroid;
  double weight = 0;
  std::vector<std::string> item_ids;

  void Add(const WeightedItem& item) {
    AddScaled(*item.vector, item.weight, sum);
    centroid = sum;
    Normalize(centroid);
    weight += item.weight;
    item_ids.push_back(item.item_id);
  }
};

std::vector<Cluster> GreedyClusters(const std::vector<WeightedItem>& items,
                                    const UserModelOptions& options) {
  std::vector<Cluster> clusters;
  for (const WeightedItem& item : items) {
    Cluster* nearest = nullptr;
    double best = -2;
    for (Cluster& cluster : clusters) {
      const double similarity = Dot(cluster.centroid, *item.vector);
      if (similarity > best) {
        best = similarity;
        nearest = &cluster;
      }
    }

    const bool full = static_cast<int>(clusters.size()) >= options.max_centroids;
    if (nearest == nullptr || (best < options.join_similarity && !full))
      nearest = &clusters.emplace_back();
    nearest->Add(item);
  }
  return clusters;
}

void AppendInterests(const SpaceKey& space, std::vector<Cluster> clusters,
                     std::vector<InterestCentroid>& interests) {
  double total = 0;
  for (const Cluster& cluster : clusters) total += cluster.weight;
  std::stable_sort(clusters.begin(), clusters.end(),
                   [](const Cluster& a, const Cluster& b) { return a.weight > b.weight; });

  for (Cluster& cluster : clusters) {
    interests.push_back(
        {space, std::move(cluster.centroid), cluster.weight / total, std::move(cluster.item_ids)});
  }
}

}  // namespace

std::vector<double> DecayedWeights(const std::vector<ContextEvent>& events,
                                   absl::Duration half_life, absl::Time now) {
  const auto time_of = [now](const ContextEvent& event) { return std::min(event.event.time, now); };
  absl::Time newest = absl::InfinitePast();
  for (const ContextEvent& event : events) newest = std::max(newest, time_of(event));

  std::vector<double> weights;
  weights.reserve(events.size());
  for (const ContextEvent& event : events) {
    weights.push_back(event.weight *
                      std::exp2(-absl::FDivDuration(newest - time_of(event), half_life)));
  }
  return weights;
}

UserModel BuildUserModel(const UserContext& context, const UserModelOptions& options,
                         absl::Time now) {
  const std::vector<ContextEvent>& events = context.events;
  const std::vector<double> weights = DecayedWeights(events, options.half_life, now);

  std::map<SpaceKey, std::map<std::string, WeightedItem>> spaces;
  for (size_t i = 0; i < events.size(); ++i) {
    const ItemWithVectors* record = context.ItemOf(events[i]);
    if (record == nullptr) continue;
    for (const SpaceVector& vector : record->vectors) {
      WeightedItem& item = spaces[vector.space][events[i].event.item_id];
      item.item_id = events[i].event.item_id;
      item.weight += weights[i];
      item.vector = &vector.values;
    }
  }

  UserModel model;
  for (auto& [space, by_id] : spaces) {
    std::map<std::string, WeightedItem> liked;
    std::map<std::string, WeightedItem> disliked;
    for (auto& [id, item] : by_id) {
      if (item.weight > 0) liked[id] = item;
      if (item.weight < 0) disliked[id] = {item.item_id, -item.weight, item.vector};
    }
    AppendInterests(space, GreedyClusters(StrongestFirst(std::move(liked)), options), model.likes);
    UserModelOptions one = options;
    one.max_centroids = 1;
    AppendInterests(space, GreedyClusters(StrongestFirst(std::move(disliked)), one),
                    model.dislikes);
  }
  return model;
}

}  // namespace palate::pipeline
