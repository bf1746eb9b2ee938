// What a rating says about the taste of its user. The feature store and the pipeline weigh events
// with the same function.
//
// Usage:
//   RatingStats ratings;
//   for (const double value : {5.0, 5.0, 2.0}) ratings.Add(value);
//   const double baseline = ratings.Baseline();
//   EXPECT_GT(5.0, baseline);
//   EXPECT_LT(2.0, baseline);
//
// Plain values and pure functions: no synchronization.
#pragma once

#include <cstdint>
#include <optional>

#include "domain/catalog.h"
#include "domain/event.h"

namespace palate {

// The ratings of one user. All values are finite.
struct RatingStats {
  double sum = 0;
  int64_t count = 0;
  // Over some of the ratings: they tell the scale.
  std::optional<double> least = std::nullopt;
  std::optional<double> largest = std::nullopt;

  void Add(double value);
  // Widens the range without counting the value.
  void AddToRange(double value);

  // The value above which a rating of this user is a liking: the mean of the ratings and of five
  // more in the middle of the scale. So people who use the scale differently are comparable, and
  // one whose ratings are all equal is no stranger: six times five stars are six likings.
  //
  // The scale is not declared. It is the first of these that holds the range: 1 to 5, 1 to 10,
  // 0 to 100; symmetrical around 0 where a value is negative; 0 to 1 where no value is above 1 and
  // one is below. Ratings that all are 1 may be the least or the best: there the mean alone counts,
  // and beyond 100 too. 0 without ratings.
  double Baseline() const;
};

// The signed strength of the event: the type's weight; for ratings that weight times (value -
// `baseline`); 0 for a rating without value, and for a type that is not declared (null).
double EventWeight(const EventTypeDeclaration* type, const Event& event, double baseline);

}  // namespace palate
