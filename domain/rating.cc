#include "domain/rating.h"

#include <algorithm>

namespace palate {
namespace {

constexpr double kPriorRatings = 5;

// The middle of the scale that holds the range; nullopt if the range does not tell it.
std::optional<double> MiddleOfScale(double least, double largest) {
  if (least < 0) return 0;
  if (largest <= 1) return least < 1 ? std::optional<double>(0.5) : std::nullopt;
  if (largest <= 5) return 3;
  if (largest <= 10) return 5.5;
  if (largest <= 100) return 50;
  return std::nullopt;
}

}  // namespace

void RatingStats::Add(double value) {
  sum += value;
  ++count;
  AddToRange(value);
}

void RatingStats::AddToRange(double value) {
  least = std::min(least.value_or(value), value);
  largest = std::max(largest.value_or(value), value);
}

double RatingStats::Baseline() const {
  if (count == 0) return 0;
  const auto n = static_cast<double>(count);
  const std::optional<double> middle =
      least.has_value() && largest.has_value() ? MiddleOfScale(*least, *largest) : std::nullopt;
  if (!middle.has_value()) return sum / n;
  return (sum + kPriorRatings * *middle) / (n + kPriorRatings);
}

double EventWeight(const EventTypeDeclaration* type, const Event& event, double baseline) {
  if (type == nullptr) return 0;
  if (!type->value_is_rating) return type->weight;
  return event.value.has_value() ? type->weight * (*event.value - baseline) : 0;
}

}  // namespace palate
