// A small seeded random generator whose numbers are the same on every platform and standard
// library, unlike std's distributions.
//
// Copyable value; not thread-safe. Period 2^64 (SplitMix64), which is far more than one generated
// shop draws. Reference: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
// OOPSLA 2014.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace palate::demo {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  // A generator for one part of the work, so that drawing more numbers in one part does not change
  // the numbers of another.
  static Random ForPart(uint64_t seed, std::string_view part, uint64_t index = 0) {
    uint64_t hash = 14695981039346656037ull;  // FNV-1a
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    Random mixed(seed ^ hash);
    return Random(mixed.Next() + index * 0x9E3779B97F4A7C15ull * 0x2545F4914F6CDD1Dull);
  }

  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }

  // In [0, 1).
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  bool Chance(double probability) { return Uniform() < probability; }

  // In [0, n); n is at least 1.
  size_t Index(size_t n) { return static_cast<size_t>(Uniform() * static_cast<double>(n)); }

  // Mean 0, standard deviation 1 (Box-Muller).
  double Normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - Uniform()));
    return radius * std::cos(2.0 * 3.14159265358979323846 * Uniform());
  }

  // Index drawn in proportion to `weights`, which are non-negative with a positive sum.
  size_t Weighted(const std::vector<double>& weights) {
    double sum = 0;
    for (const double w : weights) sum += w;
    double left = Uniform() * sum;
    for (size_t i = 0; i + 1 < weights.size(); ++i) {
      left -= weights[i];
      if (left < 0) return i;
    }
    return weights.size() - 1;
  }

  template <typename Container>
  const typename Container::value_type& Pick(const Container& values) {
    return values[Index(values.size())];
  }

  template <typename T>
  void Shuffle(std::vector<T>& values) {
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[Index(i)]);
  }

 private:
  uint64_t state_;
};

}  // namespace palate::demo
