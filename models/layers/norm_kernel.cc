#include "models/layers/norm_kernel.h"

#include <cmath>

#include "models/layers/avx512.h"

namespace palate::models {

#if defined(__x86_64__)
namespace {

constexpr int64_t kNormLanes = 16;  // floats in a register

// Several passes over a row: a row of a few hundred floats stays in the first-level cache, so that
// the variance can be computed from the differences to the mean, which loses no digits.
PALATE_AVX512 void NormRow(float* x, int64_t width, const float* weight, const float* bias,
                           float epsilon) {
  const int64_t whole = width / kNormLanes * kNormLanes;
  const auto rest = static_cast<__mmask16>((1u << (width - whole)) - 1);

  __m512 sum = _mm512_maskz_loadu_ps(rest, x + whole);
  for (int64_t i = 0; i < whole; i += kNormLanes) sum = _mm512_add_ps(sum, _mm512_loadu_ps(x + i));
  const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / static_cast<float>(width));

  const __m512 last = _mm512_maskz_sub_ps(rest, _mm512_maskz_loadu_ps(rest, x + whole), mean);
  __m512 squares = _mm512_mul_ps(last, last);
  for (int64_t i = 0; i < whole; i += kNormLanes) {
    const __m512 difference = _mm512_sub_ps(_mm512_loadu_ps(x + i), mean);
    squares = _mm512_fmadd_ps(difference, difference, squares);
  }

  const float variance = _mm512_reduce_add_ps(squares) / static_cast<float>(width);
  const __m512 scale = _mm512_set1_ps(1.0f / std::sqrt(variance + epsilon));

  for (int64_t i = 0; i < whole; i += kNormLanes) {
    const __m512 normed = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(x + i), mean), scale);
    _mm512_storeu_ps(
        x + i, _mm512_fmadd_ps(normed, _mm512_loadu_ps(weight + i), _mm512_loadu_ps(bias + i)));
  }
  const __m512 normed = _mm512_mul_ps(last, scale);
  _mm512_mask_storeu_ps(x + whole, rest,
                        _mm512_fmadd_ps(normed, _mm512_maskz_loadu_ps(rest, weight + whole),
                                        _mm512_maskz_loadu_ps(rest, bias + whole)));
}

}  // namespace

bool HasNormKernel() { return HasAvx512(); }

void NormRows(float* x, int64_t rows, int64_t width, const float* weight, const float* bias,
              float epsilon) {
  for (int64_t row = 0; row < rows; ++row) NormRow(x + row * width, width, weight, bias, epsilon);
}

#else

bool HasNormKernel() { return false; }

void NormRows(float*, int64_t, int64_t, const float*, const float*, float) {}

#endif

}  // namespace palate::models
