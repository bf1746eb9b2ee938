// Images to the patch embeddings of a vision transformer.
#pragma once

#include <ATen/core/Tensor.h>

namespace palate::models {

// A convolution whose stride is its size, as a matrix product over cut-out patches. `pixels` is
// [images, channels, height, width], `weight` [hidden, channels, patch, patch], `bias` [hidden] or
// undefined. Rows and columns beyond the last whole patch are not seen. Returns [images, patches,
// hidden], row by row.
at::Tensor EmbedPatches(const at::Tensor& pixels, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace palate::models
