#include "models/layers/attention_kernel.h"

#include <algorithm>
#include <cmath>

#include "models/layers/avx512.h"

namespace palate::models {

#if defined(__x86_64__)
namespace {

constexpr int64_t kLanes = 16;  // floats in a register
constexpr int64_t kRows = 8;  // queries computed together: 16 accumulators with two registers each
constexpr float kLog2E = 1.44269504f;

int64_t PaddedLength(int64_t length) { return (length + kLanes - 1) / kLanes * kLanes; }

// The number of floats that AttendFloats needs for the transposed keys, the values, and the scores
// of kRows rows.
int64_t ScratchSize(int64_t length, int64_t head_dim) {
  return (2 * head_dim + kRows) * PaddedLength(length);
}

PALATE_AVX512 inline __m512 PairsLow(__m512 a, __m512 b) {
  return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}

PALATE_AVX512 inline __m512 PairsHigh(__m512 a, __m512 b) {
  return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}

// Transposes 16 x 16 floats: rows of `from`, `stride` apart, become columns of `to`, whose rows are
// `to_stride` apart.
PALATE_AVX512 void Transpose16(const float* from, int64_t stride, float* to, int64_t to_stride) {
  __m512 r[16], t[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_ps(from + i * stride);

  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  // r[4 g + c] holds column c of each quarter, of the rows 4 g to 4 g + 3.
  for (int i = 0; i < 16; i += 4) {
    r[i] = PairsLow(t[i], t[i + 2]);
    r[i + 1] = PairsHigh(t[i], t[i + 2]);
    r[i + 2] = PairsLow(t[i + 1], t[i + 3]);
    r[i + 3] = PairsHigh(t[i + 1], t[i + 3]);
  }

  for (int c = 0; c < 4; ++c) {
    const __m512 even_low = _mm512_shuffle_f32x4(r[c], r[c + 4], 0x88);
    const __m512 odd_low = _mm512_shuffle_f32x4(r[c], r[c + 4], 0xdd);
    const __m512 even_high = _mm512_shuffle_f32x4(r[c + 8], r[c + 12], 0x88);
    const __m512 odd_high = _mm512_shuffle_f32x4(r[c + 8], r[c + 12], 0xdd);
    _mm512_storeu_ps(to + c * to_stride, _mm512_shuffle_f32x4(even_low, even_high, 0x88));
    _mm512_storeu_ps(to + (c + 4) * to_stride, _mm512_shuffle_f32x4(odd_low, odd_high, 0x88));
    _mm512_storeu_ps(to + (c + 8) * to_stride, _mm512_shuffle_f32x4(even_low, even_high, 0xdd));
    _mm512_storeu_ps(to + (c + 12) * to_stride, _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd));
  }
}

// Stores the keys as [head_dim, padded]. Positions beyond the length are not written.
PALATE_AVX512 void TransposeKeys(const HeadTask<float>& task, float* keys, int64_t padded) {
  int64_t j = 0;
  for (; j + kLanes <= task.length; j += kLanes) {
    for (int64_t d = 0; d < task.head_dim; d += kLanes) {
      Transpose16(task.key + j * task.stride + d, task.stride, keys + d * padded + j, padded);
    }
  }
  for (; j < task.length; ++j) {
    for (int64_t d = 0; d < task.head_dim; ++d)
      keys[d * padded + j] = task.key[j * task.stride + d];
  }
}

// Copies the values to [length, head_dim]. In the source, tokens are so far apart that they compete
// for few cache sets.
PALATE_AVX512 void CopyValues(const HeadTask<float>& task, float* values) {
  for (int64_t j = 0; j < task.length; ++j) {
    for (int64_t d = 0; d < task.head_dim; d += kLanes) {
      _mm512_storeu_ps(values + j * task.head_dim + d,
                       _mm512_loadu_ps(task.value + j * task.stride + d));
    }
  }
}

// scores[r][j] = query r · key j for `R` queries and `C` registers of keys from `j` on; `scores`
// rows are `padded` floats apart.
template <int R, int C>
PALATE_AVX512 void ScoreKeys(const HeadTask<float>& task, const float* query, const float* keys,
                             int64_t j, int64_t padded, float* scores) {
  __m512 sum[R][C];
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sum[r][c] = _mm512_setzero_ps();
  }

  for (int64_t d = 0; d < task.head_dim; ++d) {
    __m512 key[C];
    for (int c = 0; c < C; ++c) key[c] = _mm512_loadu_ps(keys + d * padded + j + c * kLanes);
    for (int r = 0; r < R; ++r) {
      const __m512 q = _mm512_set1_ps(query[r * task.stride + d]);
      for (int c = 0; c < C; ++c) sum[r][c] = _mm512_fmadd_ps(q, key[c], sum[r][c]);
    }
  }

  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) _mm512_storeu_ps(scores + r * padded + j + c * kLanes, sum[r][c]);
  }
}

template <int R>
PALATE_AVX512 void Score(const HeadTask<float>& task, const float* query, const float* keys,
                         int64_t padded, float* scores) {
  int64_t j = 0;
  for (; j + 2 * kLanes <= padded; j += 2 * kLanes)
    ScoreKeys<R, 2>(task, query, keys, j, padded, scores);
  if (j < padded) ScoreKeys<R, 1>(task, query, keys, j, padded, scores);
}

// 2^x for x <= 0 with a relative error of about 1e-7; results below 2^-126 are clamped.
PALATE_AVX512 inline __m512 Exp2(__m512 x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(-126.0f));
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, whole);

  // Taylor series of 2^f on [-1/2, 1/2].
  __m512 y = _mm512_set1_ps(1.5403530e-4f);
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1.3333558e-3f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(9.6181291e-3f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(5.5504109e-2f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(2.4022651e-1f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(6.9314718e-1f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1.0f));

  return _mm512_scalef_ps(y, whole);
}

// Replaces one row of scores by unnormalized weights; returns the reciprocal of their sum.
PALATE_AVX512 float Weigh(float* scores, int64_t length, int64_t padded, float scale) {
  for (int64_t j = length; j < padded; ++j) scores[j] = -INFINITY;
  __m512 top = _mm512_loadu_ps(scores);
  for (int64_t j = kLanes; j < padded; j += kLanes)
    top = _mm512_max_ps(top, _mm512_loadu_ps(scores + j));

  const __m512 factor = _mm512_set1_ps(scale * kLog2E);
  const __m512 shift = _mm512_mul_ps(_mm512_set1_ps(_mm512_reduce_max_ps(top)), factor);

  __m512 sum = _mm512_setzero_ps();
  for (int64_t j = 0; j < padded; j += kLanes) {
    const __m512 weight = Exp2(_mm512_fmsub_ps(_mm512_loadu_ps(scores + j), factor, shift));
    sum = _mm512_add_ps(sum, weight);
    _mm512_storeu_ps(scores + j, weight);
  }

  return 1.0f / _mm512_reduce_add_ps(sum);
}

// out[r] = inverse_sum[r] * sum over j of weights[r][j] * value j, for `R` queries and `C`
// registers of columns.
template <int R, int C>
PALATE_AVX512 void Mix(const HeadTask<float>& task, const float* values, const float* weights,
                       int64_t padded, const float* inverse_sum, int64_t column, float* out) {
  __m512 sum[R][C];
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sum[r][c] = _mm512_setzero_ps();
  }

  for (int64_t j = 0; j < task.length; ++j) {
    __m512 value[C];
    for (int c = 0; c < C; ++c)
      value[c] = _mm512_loadu_ps(values + j * task.head_dim + column + c * kLanes);
    for (int r = 0; r < R; ++r) {
      const __m512 weight = _mm512_set1_ps(weights[r * padded + j]);
      for (int c = 0; c < C; ++c) sum[r][c] = _mm512_fmadd_ps(weight, value[c], sum[r][c]);
    }
  }

  for (int r = 0; r < R; ++r) {
    const __m512 factor = _mm512_set1_ps(inverse_sum[r]);
    for (int c = 0; c < C; ++c)
      _mm512_storeu_ps(out + r * task.out_stride + column + c * kLanes,
                       _mm512_mul_ps(sum[r][c], factor));
  }
}

template <int R>
PALATE_AVX512 void AttendRows(const HeadTask<float>& task, int64_t row, const float* keys,
                              const float* values, int64_t padded, float* scores) {
  Score<R>(task, task.query + row * task.stride, keys, padded, scores);

  const float scale = 1.0f / std::sqrt(static_cast<float>(task.head_dim));
  float inverse_sum[R];
  for (int r = 0; r < R; ++r)
    inverse_sum[r] = Weigh(scores + r * padded, task.length, padded, scale);

  float* out = task.out + row * task.out_stride;
  int64_t column = 0;
  for (; column + 2 * kLanes <= task.head_dim; column += 2 * kLanes)
    Mix<R, 2>(task, values, scores, padded, inverse_sum, column, out);
  if (column < task.head_dim) Mix<R, 1>(task, values, scores, padded, inverse_sum, column, out);
}

// Attention of one head. `scratch` has at least ScratchSize floats.
void AttendFloats(const HeadTask<float>& task, float* scratch) {
  const int64_t padded = PaddedLength(task.length);
  float* const keys = scratch;
  float* const values = keys + task.head_dim * padded;
  float* const scores = values + task.head_dim * padded;

  TransposeKeys(task, keys, padded);
  CopyValues(task, values);

  if (task.length < kRows) {
    for (int64_t row = 0; row < task.length; ++row)
      AttendRows<1>(task, row, keys, values, padded, scores);
    return;
  }

  // If the length is not a multiple of kRows, the last block overlaps the one before it.
  for (int64_t row = 0; row < task.length; row += kRows) {
    AttendRows<kRows>(task, std::min(row, task.length - kRows), keys, values, padded, scores);
  }
}

// bfloat16 is the upper half of a float32.
PALATE_AVX512 void Widen(const uint16_t* from, int64_t stride, int64_t rows, int64_t columns,
                         float* to) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < columns; c += kLanes) {
      const __m256i halves =
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + row * stride + c));
      _mm512_storeu_ps(to + row * columns + c,
                       _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16)));
    }
  }
}

// Rounds to nearest, ties to even.
PALATE_AVX512 void Narrow(const float* from, int64_t rows, int64_t columns, uint16_t* to,
                          int64_t stride) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < columns; c += kLanes) {
      const __m512i bits = _mm512_castps_si512(_mm512_loadu_ps(from + row * columns + c));
      const __m512i odd = _mm512_and_epi32(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
      const __m512i rounded =
          _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + row * stride + c),
                          _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
    }
  }
}

float* Reserve(std::vector<float>& scratch, int64_t size) {
  if (scratch.size() < static_cast<size_t>(size)) scratch.resize(static_cast<size_t>(size));
  return scratch.data();
}

}  // namespace

bool HasAttentionKernel(int64_t head_dim) { return HasAvx512() && head_dim % kLanes == 0; }

void AttendHead(const HeadTask<float>& task, std::vector<float>& scratch) {
  AttendFloats(task, Reserve(scratch, ScratchSize(task.length, task.head_dim)));
}

void AttendHead(const HeadTask<uint16_t>& task, std::vector<float>& scratch) {
  const int64_t size = task.length * task.head_dim;
  float* const query = Reserve(scratch, 4 * size + ScratchSize(task.length, task.head_dim));
  float* const key = query + size;
  float* const value = key + size;
  float* const out = value + size;

  Widen(task.query, task.stride, task.length, task.head_dim, query);
  Widen(task.key, task.stride, task.length, task.head_dim, key);
  Widen(task.value, task.stride, task.length, task.head_dim, value);

  AttendFloats({.query = query,
                .key = key,
                .value = value,
                .stride = task.head_dim,
                .out = out,
                .out_stride = task.head_dim,
                .length = task.length,
                .head_dim = task.head_dim},
               out + size);

  Narrow(out, task.length, task.head_dim, task.out, task.out_stride);
}

#else

bool HasAttentionKernel(int64_t) { return false; }

void AttendHead(const HeadTask<float>&, std::vector<float>&) {}

void AttendHead(const HeadTask<uint16_t>&, std::vector<float>&) {}

#endif

}  // namespace palate::models
