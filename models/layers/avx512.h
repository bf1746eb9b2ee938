// What the AVX-512 kernels share: intrinsics, the attribute that compiles a function for them, and
// whether this processor runs it. Internal to models/layers.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
// GCC 12 finds the deliberately undefined registers inside its own intrinsics.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#define PALATE_AVX512 __attribute__((target("avx512f,avx512dq")))

namespace palate::models {

inline bool HasAvx512() {
  static const bool supported =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  return supported;
}

}  // namespace palate::models
#endif
