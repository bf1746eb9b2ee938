#include "models/layers/patches.h"

#include <ATen/ATen.h>

namespace palate::models {

at::Tensor EmbedPatches(const at::Tensor& pixels, const at::Tensor& weight,
                        const at::Tensor& bias) {
  const int64_t patch = weight.size(2);
  const int64_t channels = pixels.size(1);
  const int64_t rows = pixels.size(2) / patch;
  const int64_t columns = pixels.size(3) / patch;

  const at::Tensor patches = pixels.narrow(2, 0, rows * patch)
                                 .narrow(3, 0, columns * patch)
                                 .reshape({-1, channels, rows, patch, columns, patch})
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .reshape({-1, rows * columns, channels * patch * patch});
  return at::linear(patches, weight.flatten(1), bias);
}

}  // namespace palate::models
