// The AVX-512 kernel behind LayerNormInPlace. Internal to models/layers.
#pragma once

#include <cstdint>

namespace palate::models {

// Whether this processor supports NormRows.
bool HasNormKernel();

// Layer normalization in place of `rows` rows with `width` floats each. `weight` and `bias` have
// `width` floats. REQUIRES: HasNormKernel().
void NormRows(float* x, int64_t rows, int64_t width, const float* weight, const float* bias,
              float epsilon);

}  // namespace palate::models
