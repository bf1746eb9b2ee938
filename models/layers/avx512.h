// Shared by the AVX-512 kernels: intrinsics, the attribute that compiles a function for these
// instructions, and the check that the processor supports them. Internal to models/layers.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#if !defined(__clang__)
// GCC 12 warns about the deliberately undefined registers in its own intrinsics.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define PALATE_AVX512 __attribute__((target("avx512f,avx512dq")))

namespace palate::models {

inline bool HasAvx512() {
  static const bool supported =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  return supported;
}

}  // namespace palate::models
#endif
