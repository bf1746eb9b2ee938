// The user's interests as vectors: recency-decayed centroids of what they liked, and one of what
// they did not, per space.
//
// Centroids instead of one mean keep separate interests apart (PinnerSage, Pal et al., KDD 2020,
// makes the same case); here they are found by one greedy pass over the strongest items, which is
// deterministic and needs no choice of cluster count. Thread-safe: free functions over values.
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
// newest event in `events`, so that a log of the nineties is as usable as today's.
std::vector<double> DecayedWeights(const std::vector<ContextEvent>& events,
                                   absl::Duration half_life);

// Events without an item or a vector in a space do not count there. Several events on one item add
// up.
UserModel BuildUserModel(const UserContext& context, const UserModelOptions& options);

}  // namespace palate::pipeline
