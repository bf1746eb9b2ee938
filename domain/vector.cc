#include "domain/vector.h"

#include <cmath>

namespace palate {

double Dot(absl::Span<const float> a, absl::Span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

double Length(absl::Span<const float> values) { return std::sqrt(Dot(values, values)); }

bool Normalize(std::vector<float>& values, double min_length) {
  const double length = Length(values);
  if (!std::isfinite(length) || !(length > min_length)) return false;

  for (float& value : values) value = static_cast<float>(value / length);
  return true;
}

}  // namespace palate
