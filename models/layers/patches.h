// Converts images to the patch embeddings of a vision transformer.
#pragma once

#include <ATen/core/Tensor.h>

namespace palate::models {

// A convolution whose stride equals its size, computed as a matrix product over patches. `pixels`
// is [images, channels, height, width], `weight` [hidden, channels, patch, patch], `bias` [hidden]
// or undefined. Ignores rows and columns beyond the last whole patch. Returns [images, patches,
// hidden], row by row. Thread-safe; throws as ATen does.
at::Tensor EmbedPatches(const at::Tensor& pixels, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace palate::models
