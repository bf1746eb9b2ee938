#include "models/families/conse/color_words.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace palate::models {
namespace {

constexpr int64_t kSide = 64;  // of the reduced picture, in pixels
constexpr int64_t kPixels = kSide * kSide;

// The foreground. Border pixels are sampled, and a pixel is compared with the samples that are most
// like it, so that a background of several colors is recognized.
constexpr int64_t kBorder = 3;         // width, in pixels
constexpr size_t kBorderStep = 8;      // every eighth pixel is a sample
constexpr size_t kNearest = 5;         // samples
constexpr double kMiddle = 0.30;       // deviation around the middle, in sides
constexpr double kBackground = 12.0;   // distance in CIELAB at which a pixel is no background
constexpr double kLeastWeight = 0.05;  // of a pixel that is like the border
constexpr double kLightnessShare = 0.5;

using Color = std::array<float, 3>;
using Thumbnail = std::vector<uint8_t>;  // [kSide, kSide, 3]

// The source pixels behind one output pixel, as Pillow's box filter chooses them.
struct Range {
  int64_t begin;
  int64_t end;
};

Range BoxRange(int64_t output, int64_t input_size) {
  const double scale = static_cast<double>(input_size) / static_cast<double>(kSide);
  const double center = (static_cast<double>(output) + 0.5) * scale;
  const double support = 0.5 * std::max(scale, 1.0);
  return {.begin = std::max<int64_t>(0, static_cast<int64_t>(center - support + 0.5)),
          .end = std::min(input_size, static_cast<int64_t>(center + support + 0.5))};
}

uint8_t RoundedMean(int64_t sum, int64_t count) {
  return static_cast<uint8_t>((2 * sum + count) / (2 * count));
}

// Columns first, then rows, each rounded to bytes, which is what Pillow does.
Thumbnail Reduce(const Image& image) {
  std::array<Range, kSide> columns;
  for (size_t x = 0; x < columns.size(); ++x)
    columns[x] = BoxRange(static_cast<int64_t>(x), image.width);

  std::vector<uint8_t> narrow(static_cast<size_t>(image.height * kSide * 3));
  uint8_t* next = narrow.data();
  for (int64_t y = 0; y < image.height; ++y) {
    const uint8_t* row = image.rgb.data() + 3 * y * image.width;
    for (const Range& range : columns) {
      std::array<int64_t, 3> sum = {};
      const uint8_t* from = row + 3 * range.begin;
      for (int64_t i = range.begin; i < range.end; ++i) {
        for (int64_t& channel : sum) channel += *from++;
      }
      for (const int64_t channel : sum) *next++ = RoundedMean(channel, range.end - range.begin);
    }
  }

  Thumbnail result(static_cast<size_t>(kPixels * 3));
  for (int64_t y = 0; y < kSide; ++y) {
    const Range range = BoxRange(y, image.height);
    std::array<int64_t, kSide* 3> sum = {};
    for (int64_t row = range.begin; row < range.end; ++row) {
      const uint8_t* from = narrow.data() + row * kSide * 3;
      for (int64_t& value : sum) value += *from++;
    }
    uint8_t* to = result.data() + y * kSide * 3;
    for (const int64_t value : sum) *to++ = RoundedMean(value, range.end - range.begin);
  }
  return result;
}

// IEC 61966-2-1: from a value in [0, 1] to linear light.
double LinearLight(double value) {
  return value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
}

double LabCurve(double t) {
  return t > 216.0 / 24389.0 ? std::cbrt(t) : (24389.0 / 27.0 * t + 16.0) / 116.0;
}

// CIE 1976 L*a*b* under D65, with half the lightness. The channels are linear.
Color LabOf(double red, double green, double blue) {
  const double x = (0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047;
  const double y = 0.2126729 * red + 0.7151522 * green + 0.0721750 * blue;
  const double z = (0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883;
  const double fx = LabCurve(x);
  const double fy = LabCurve(y);
  const double fz = LabCurve(z);
  return {static_cast<float>(kLightnessShare * (116 * fy - 16)),
          static_cast<float>(500 * (fx - fy)), static_cast<float>(200 * (fy - fz))};
}

std::vector<Color> ToLab(const Thumbnail& pixels) {
  static const std::array<double, 256> linear = [] {
    std::array<double, 256> table;
    for (size_t i = 0; i < table.size(); ++i) table[i] = LinearLight(static_cast<double>(i) / 255);
    return table;
  }();

  std::vector<Color> lab(pixels.size() / 3);
  for (size_t i = 0; i < lab.size(); ++i)
    lab[i] = LabOf(linear[pixels[3 * i]], linear[pixels[3 * i + 1]], linear[pixels[3 * i + 2]]);
  return lab;
}

float SquaredDistance(const Color& a, const Color& b) {
  const float l = a[0] - b[0];
  const float u = a[1] - b[1];
  const float v = a[2] - b[2];
  return l * l + u * u + v * v;
}

// The upper, lower, left and right border, every kBorderStep-th pixel of it.
std::vector<Color> SampleBorder(const std::vector<Color>& lab) {
  std::vector<Color> border;
  const auto add = [&](int64_t first_row, int64_t last_row, int64_t first_column,
                       int64_t last_column) {
    for (int64_t y = first_row; y < last_row; ++y) {
      for (int64_t x = first_column; x < last_column; ++x)
        border.push_back(lab[static_cast<size_t>(y * kSide + x)]);
    }
  };
  add(0, kBorder, 0, kSide);
  add(kSide - kBorder, kSide, 0, kSide);
  add(0, kSide, 0, kBorder);
  add(0, kSide, kSide - kBorder, kSide);

  std::vector<Color> samples;
  for (size_t i = 0; i < border.size(); i += kBorderStep) samples.push_back(border[i]);
  return samples;
}

// The mean squared distance to the samples that are most like the pixel.
float DistanceToBorder(const Color& pixel, const std::vector<Color>& samples) {
  std::array<float, kNearest> nearest;  // ascending
  nearest.fill(std::numeric_limits<float>::max());

  for (const Color& sample : samples) {
    const float distance = SquaredDistance(pixel, sample);
    if (distance >= nearest.back()) continue;
    size_t i = kNearest - 1;
    for (; i > 0 && nearest[i - 1] > distance; --i) nearest[i] = nearest[i - 1];
    nearest[i] = distance;
  }
  return std::accumulate(nearest.begin(), nearest.end(), 0.0F) / static_cast<float>(kNearest);
}

// A Gaussian around the middle of the side.
const std::array<float, kSide>& MiddleWeights() {
  static const std::array<float, kSide> weights = [] {
    std::array<float, kSide> result;
    for (size_t i = 0; i < result.size(); ++i) {
      const double position = (static_cast<double>(i) + 0.5) / kSide - 0.5;
      result[i] = static_cast<float>(std::exp(-position * position / (2 * kMiddle * kMiddle)));
    }
    return result;
  }();
  return weights;
}

// The weight of each pixel; the sum is 1.
std::vector<float> ForegroundWeights(const std::vector<Color>& lab) {
  const std::vector<Color> samples = SampleBorder(lab);
  const std::array<float, kSide>& middle = MiddleWeights();

  std::vector<float> weights(lab.size());
  for (size_t i = 0; i < lab.size(); ++i) {
    const double distance = DistanceToBorder(lab[i], samples);
    const double differs = 1 - std::exp(-distance / (2 * kBackground * kBackground));
    weights[i] = middle[i / kSide] * middle[i % kSide] * static_cast<float>(differs + kLeastWeight);
  }

  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (float& weight : weights) weight = static_cast<float>(weight / sum);
  return weights;
}

}  // namespace

absl::StatusOr<ColorWords> ColorWords::Create(const std::vector<ColorWord>& words,
                                              double softness) {
  if (words.empty()) return absl::InvalidArgumentError("no color words");
  if (!(softness > 0) || !std::isfinite(softness))
    return absl::InvalidArgumentError(absl::StrCat("color_softness ", softness, " is not above 0"));

  ColorWords result;
  result.softness_ = softness;
  for (const ColorWord& word : words) {
    if (word.prototypes.empty())
      return absl::InvalidArgumentError(absl::StrCat("color ", word.word, " has no prototypes"));
    for (const auto& [red, green, blue] : word.prototypes) {
      for (const double value : {red, green, blue}) {
        if (value >= 0 && value <= 255) continue;
        return absl::InvalidArgumentError(
            absl::StrCat("color ", word.word, " has the value ", value, ", not in [0, 255]"));
      }
      result.prototypes_.push_back(
          LabOf(LinearLight(red / 255), LinearLight(green / 255), LinearLight(blue / 255)));
    }
    result.last_prototype_.push_back(result.prototypes_.size());
  }
  return result;
}

std::vector<float> ColorWords::Shares(const Image& image) const {
  const std::vector<Color> lab = ToLab(Reduce(image));
  const std::vector<float> weights = ForegroundWeights(lab);

  std::vector<float> shares(size());
  std::vector<float> part(size());
  for (size_t i = 0; i < lab.size(); ++i) {
    WordsOf(lab[i], part);
    for (size_t word = 0; word < size(); ++word) shares[word] += weights[i] * part[word];
  }
  return shares;
}

// The softmax over the words of -d^2 / (2 softness^2), where d is the distance to a word's nearest
// prototype.
void ColorWords::WordsOf(const Color& pixel, std::vector<float>& part) const {
  size_t prototype = 0;
  for (size_t word = 0; word < size(); ++word) {
    float nearest = std::numeric_limits<float>::max();
    for (; prototype < last_prototype_[word]; ++prototype)
      nearest = std::min(nearest, SquaredDistance(pixel, prototypes_[prototype]));
    part[word] = nearest;
  }

  const float nearest = *std::min_element(part.begin(), part.end());
  const auto scale = static_cast<float>(1 / (2 * softness_ * softness_));
  float sum = 0;
  for (float& value : part) sum += value = std::exp((nearest - value) * scale);
  for (float& value : part) value /= sum;
}

}  // namespace palate::models
