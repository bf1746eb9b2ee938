// The AVX-512 kernel behind LayerNormInPlace. Internal to models/layers.
#pragma once

#include <cstdint>

namespace palate::models {

// Whether this processor runs NormRows.
bool HasNormKernel();

// Layer normalization of `rows` rows of `width` floats each, in place. `weight` and `bias` have
// `width` floats. REQUIRES: HasNormKernel().
void NormRows(float* x, int64_t rows, int64_t width, const float* weight, const float* bias,
              float epsilon);

}  // namespace palate::models
