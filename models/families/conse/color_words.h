// Which colors a picture's subject has, in words: a soft histogram over color names.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const ColorWords words, ColorWords::Create(config.colors, 8.0));
//   const std::vector<float> shares = words.Shares(image);  // "red" 0.7, "white" 0.2, ...
//
// A picture is reduced to 64 x 64 pixels in CIELAB. A pixel counts for as much as it lies in the
// middle and differs from the border, which mostly shows the background. Each pixel is shared among
// the words by its distance to their nearest prototypes. Nothing is trained.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/image/image.h"

namespace palate::models {

struct ColorWord {
  std::string word;
  std::vector<std::array<double, 3>> prototypes;  // sRGB, each value in [0, 255]; at least one
};

// Immutable and thread-safe.
class ColorWords {
 public:
  // `softness`, above 0, is the distance in CIELAB at which a color is still called by a word, with
  // lightness counted half. InvalidArgument for no words, a word without prototypes, or a value
  // that is out of range.
  static absl::StatusOr<ColorWords> Create(const std::vector<ColorWord>& words, double softness);

  size_t size() const { return last_prototype_.size(); }
  // The share of each word, in the order of the words: at least 0, with the sum 1. REQUIRES: the
  // image has pixels.
  std::vector<float> Shares(const Image& image) const;

 private:
  // CIELAB with half the lightness.
  using Color = std::array<float, 3>;

  // The share of each word in a pixel.
  void WordsOf(const Color& pixel, std::vector<float>& part) const;

  double softness_ = 0;
  std::vector<Color> prototypes_;       // of all words in turn
  std::vector<size_t> last_prototype_;  // of each word, exclusive
};

}  // namespace palate::models
