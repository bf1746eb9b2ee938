// What an embedding model is and which spaces it serves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace palate::embedding {

// How the inner products of unrelated pairs are distributed in a space, so that scores of different spaces can be
// compared: (score - mean) / deviation.
struct Calibration {
  double mean = 0;
  double deviation = 1;  // above 0
};

struct SpaceInfo {
  std::string name;         // "text", "image" or "fused"
  std::string fingerprint;  // of vectors with the model's own dimensions; see FingerprintFor
  bool available = false;   // false when the tower has no weights
  Calibration calibration;
};

struct ModelInfo {
  std::string name;
  std::string folder;
  int dimensions = 0;
  int64_t max_text_tokens = 0;
  int image_size = 0;  // pixels on each side; 0 without an image tower
  std::vector<SpaceInfo> spaces;

  // Null when there is no such space.
  const SpaceInfo* FindSpace(const std::string& space) const;
};

// Vectors cut to fewer dimensions are not comparable with whole ones, so their fingerprint says the cut: "3f2a…@128".
std::string FingerprintFor(const SpaceInfo& space, int dimensions, int model_dimensions);

}  // namespace palate::embedding
