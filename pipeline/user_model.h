// The user's interests as vectors: in each space, recency-decayed centroids of the items that the
// user liked, and one centroid of those that the user disliked.
//
// Usage:
//   const UserModel model = BuildUserModel(context, UserModelOptions{});
//   for (const InterestCentroid& interest : model.likes)
//     queries.push_back({.vector = {interest.space, interest.centroid}, .k = 100});
//
// Several centroids keep separate interests apart, where one mean would mix them (PinnerSage, Pal
// et al., KDD 2020). One greedy pass over the items, strongest first, finds them: it is
// deterministic and needs no number of clusters. The functions are pure and thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "domain/user_context.h"
#include "domain/vector.h"

namespace palate::pipeline {

struct UserModelOptions {
  absl::Duration half_life =
      absl::Hours(24 * 14);       // an event this much older than the newest one counts half
  int max_centroids = 4;          // per space, at least 1
  double join_similarity = 0.55;  // an item joins a centroid from this cosine on
};

// One interest of the user in one space.
struct InterestCentroid {
  SpaceKey space;
  std::vector<float> centroid;  // [dimensions], unit length
  double weight = 0;  // share of the user's decayed weight in this space, sums to 1 over the likes
  std::vector<std::string> item_ids;  // members, strongest first
};

struct UserModel {
  std::vector<InterestCentroid> likes;     // grouped by space, strongest first within one
  std::vector<InterestCentroid> dislikes;  // at most one per space
};

// The decayed, signed weight of each event: weight * 2^(-age / half_life), age measured from the
// newest event in `events`, so that old data sets are as usable as live events. Events after `now`
// count as of then, so that one far ahead does not decay all others.
std::vector<double> DecayedWeights(const std::vector<ContextEvent>& events,
                                   absl::Duration half_life,
                                   absl::Time now = absl::InfiniteFuture());

// Ignores events whose item is not in the catalog or has no vector in the space. The weights of
// several events on one item add up.
UserModel BuildUserModel(const UserContext& context, const UserModelOptions& options,
                         absl::Time now = absl::InfiniteFuture());

}  // namespace palate::pipeline
